defaults { # one webhook for each kind of URL that can't be sent to
  enabled = false
}

webhook "absent" { # want "Missing argument \"url\""
  topics = ["*"]
}

webhook "relative" {
  topics = ["*"]
  url    = "/leads/${event.id}" # want "Invalid URL.*no scheme and no host"
}

webhook "no_scheme" {
  topics = ["*"]
  url    = "crm.example/leads" # want "Invalid URL.*no scheme"
}

webhook "typo" {
  topics = ["*"]
  url    = "htp://crm.example/" # want "Invalid URL.*begin with https://"
}

webhook "typo_template" {
  topics = ["*"]
  url    = "htp://crm.example/${event.id}" # want "Invalid URL.*begin with https://"
}

webhook "no_host" {
  topics = ["*"]
  url    = "https:///leads" # want "Invalid URL.*no host"
}

webhook "space" {
  topics = ["*"]
  url    = "https://crm.example/my leads" # want "Invalid URL.*space"
}

webhook "port" {
  topics = ["*"]
  url    = "https://crm.example:eighty/" # want "Invalid URL.*can't be read"
}

webhook "from_event" {
  topics = ["*"]
  url    = event.headers.url # want "URL from the event"
}

webhook "from_event_too" {
  topics = ["*"]
  url    = "${event.headers.url}/x" # want "URL from the event"
}

webhook "host_from_event" {
  topics = ["*"]
  url    = "https://${event.headers.host}/x" # want "Host from the event.*could send the request anywhere"
}

webhook "host_goes_on" {
  topics = ["*"]
  url    = "https://crm.example${event.headers.path}" # want "Host from the event.*no \"/\" after the host"
}

webhook "userinfo" {
  topics = ["*"]
  url    = "https://user:${event.headers.password}@crm.example/" # want "Host from the event"
}

webhook "either" {
  topics = ["*"]
  url    = event.type == "a" ? "https://a.example/" : "b.example" # want "Invalid URL.*no scheme"
}

webhook "tried" {
  topics = ["*"]
  url    = try("https://a.example/${event.headers.a}", event.headers.b) # want "URL from the event"
}

webhook "number" {
  topics = ["*"]
  url    = 7 # want "Invalid \"url\".*a URL in quotes.*not a number"
}

webhook "null" {
  topics = ["*"]
  url    = null # want "Invalid \"url\".*not null"
}

webhook "secret" {
  topics = ["*"]
  url    = env("TOKEN") # want "Invalid URL.*no scheme"
}

webhook "unset" {
  topics = ["*"]
  url    = "${env("UNSET_URL")}/${event.id}" # want "Missing environment variable.*UNSET_URL is not set.*Export it.*env\(\"UNSET_URL\", "
}
