# Not faster than the endpoint can take
#
# How many requests at a time are best is found, unless "concurrency" says it, within
# "concurrency_max". "rate_limit" is exact over any second, minute or hour. "breaker"
# probes an endpoint that is dead, and keeps what it gets for later.

database {
  url = env("DATABASE_URL")
}

defaults {
  concurrency_max = 64
  breaker         = true
}

webhook "crm" {
  topics     = ["contact.created"]
  url        = "https://crm.example.com/contacts"
  rate_limit = "100/s"
}

webhook "reports" {
  topics      = ["contact.created"]
  url         = "https://reports.example.com/rows"
  concurrency = 2 # a number is exact, too
  rate_limit  = "600/h"
  breaker     = false
}

test "both get it" {
  event {
    type    = "user.created"
    payload = { contact = { id = 7, type = "user" } }
  }
  expect "crm" {
    topic = "contact.created"
  }
  expect "reports" {
    topic = "contact.created"
  }
}
