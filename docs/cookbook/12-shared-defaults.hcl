# Say it once: defaults and locals
#
# "defaults" holds for every webhook that doesn't say otherwise; headers are merged.
# "locals" name what several expressions need, at the top for all webhooks.

database {
  url = env("DATABASE_URL")
}

locals {
  api = "https://api.example.com/v2"
}

defaults {
  timeout = "5s"
  retry   = ["1m", "1h", "12h"]
  headers = { X-Source = "walpost", X-Environment = "production" }
}

webhook "contacts" {
  topics = ["contact.tagged"]
  url    = "${local.api}/contacts"
}

webhook "billing" {
  topics  = ["contact.tagged"]
  url     = "${local.api}/billing"
  timeout = "20s"
  headers = { X-Environment = "billing" }
}

test "both have the header" {
  event {
    type    = "tagged"
    payload = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
  expect "contacts" {
    url     = "https://api.example.com/v2/contacts"
    headers = { x-source = "walpost", x-environment = "production" }
  }
  expect "billing" {
    url     = "https://api.example.com/v2/billing"
    headers = { x-source = "walpost", x-environment = "billing" }
  }
}
