# Arrays, with for
#
# A "for" makes a list or an object of another one, and "if" leaves elements out. [*]
# takes one attribute of each. What may be missing gets an empty list.

database {
  url = env("DATABASE_URL")
}

webhook "crm" {
  topics = ["contact.created"]
  url    = "https://crm.example.com/contacts"

  locals {
    tags = coalesce(event.data.contact.tags, [])
  }
  body = {
    id         = event.data.contact.id
    tags       = sort([for t in local.tags : lower(t.name) if !startswith(t.name, "_")])
    count      = length(local.tags)
    properties = [for name, value in coalesce(event.data.contact.custom_properties, {}) : { property = name, value = tostring(value) }]
  }
}

test "some tags" {
  event {
    type = "user.created"
    payload = { contact = {
      id                = 7, type = "user"
      tags              = [{ id = 1, name = "VIP" }, { id = 2, name = "_internal" }, { id = 3, name = "Beta" }]
      custom_properties = { plan = "pro", seats = 5 }
    } }
  }
  expect "crm" {
    topic = "contact.created"
    body = {
      id         = 7
      tags       = ["beta", "vip"]
      count      = 3
      properties = [{ property = "plan", value = "pro" }, { property = "seats", value = "5" }]
    }
  }
}

test "no tags" {
  event {
    type    = "user.created"
    payload = { contact = { id = 7, type = "user" } }
  }
  expect "crm" {
    body = { id = 7, tags = [], count = 0, properties = [] }
  }
}
