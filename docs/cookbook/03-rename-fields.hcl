# Rename and rearrange fields
#
# "body" replaces the whole body by JSON of any shape. What is nested becomes flat, what
# is one text becomes two, and names are the receiver's.

database {
  url = env("DATABASE_URL")
}

webhook "crm" {
  topics = ["lead.created"]
  method = "PUT"
  url    = "https://crm.example.com/leads"

  locals {
    names = split(" ", trimspace(coalesce(event.data.contact.name, "unknown")))
  }
  body = {
    FirstName = length(local.names) > 1 ? local.names[0] : null
    LastName  = element(local.names, length(local.names) - 1)
    Email     = lower(coalesce(event.data.contact.email, "none"))
    Source    = { Channel = event.data.contact.source, System = "walpost" }
    CreatedAt = event.created_at
  }
}

test "two names" {
  event {
    type       = "lead.created"
    created_at = "2026-01-02T03:04:05Z"
    payload    = { contact = { id = 7, type = "lead", name = "Ada Lovelace", email = "Ada@Example.com", source = "pricing page" } }
  }
  expect "crm" {
    method = "PUT"
    body = {
      FirstName = "Ada"
      LastName  = "Lovelace"
      Email     = "ada@example.com"
      Source    = { Channel = "pricing page", System = "walpost" }
      CreatedAt = "2026-01-02T03:04:05Z"
    }
  }
}

test "no name at all" {
  event {
    type       = "lead.created"
    created_at = "2026-01-02T03:04:05Z"
    payload    = { contact = { id = 7, type = "lead" } }
  }
  expect "crm" {
    body = {
      FirstName = null
      LastName  = "unknown"
      Email     = "none"
      Source    = { Channel = null, System = "walpost" }
      CreatedAt = "2026-01-02T03:04:05Z"
    }
  }
}
