database {
  url = "postgres://localhost/app"
}

locals {
  who = lower(event.data.contact.name)
}

webhook "crm" {
  topics  = ["contact.*"]
  url     = "https://example.com"
  headers = { X-Who = local.who }
}
