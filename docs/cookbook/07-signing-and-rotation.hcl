# Signed requests, and how to change the secret
#
# "sign" signs each request after Standard Webhooks: any of its libraries verifies it.
# To change the secret without losing a request: make a new one, move the old one to
# "previous" and reload (both signatures are sent), give receivers the new one, then
# take "previous" away. An empty "previous" is none, so it can stay in place.

database {
  url = env("DATABASE_URL")
}

webhook "crm" {
  topics   = ["contact.*"]
  url      = "https://crm.example.com/hooks"
  envelope = "standard"
  sign {
    secret   = env("CRM_SECRET")
    previous = env("CRM_SECRET_OLD", "")
  }
}

# The signature depends on the time of the attempt: "walpost send crm" shows one.
test "the body that is signed" {
  event {
    type       = "tagged"
    created_at = "2026-01-02T03:04:05Z"
    payload    = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
  expect "crm" {
    body = {
      type      = "contact.tagged"
      timestamp = "2026-01-02T03:04:05Z"
      data      = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
    }
  }
}
