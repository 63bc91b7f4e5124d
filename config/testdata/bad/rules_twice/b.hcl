rules = "none" # want "Duplicate \"rules\".*a.hcl:2"

webhook "crm" {
  topics = ["*"]
  url    = (event.type == "a" ? "https://a.example/${event.id}" : coalesce(event.headers.url, "https://b.example/")) # want "URL from the event"
}
