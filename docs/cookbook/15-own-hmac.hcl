# A signature after the receiver's own recipe
#
# Where a receiver wants something else than Standard Webhooks: hmac_sha256() over what
# it says, here over the very text of the body. A body that is a string is sent as it is.

database {
  url = env("DATABASE_URL")
}

webhook "partner" {
  topics = ["contact.email_updated"]
  url    = "https://partner.example.com/hooks"

  locals {
    text = jsonencode({ id = event.data.contact.id, email = event.data.email })
  }
  headers = {
    Content-Type        = "application/json"
    X-Partner-Signature = "sha256=${hmac_sha256(env("PARTNER_KEY"), local.text)}"
  }
  body = local.text
}

test "the signature is that of the body" {
  event {
    type    = "email_updated"
    payload = { contact = { id = 7, type = "user" }, email = "ada@example.com", previous_email = "ada@example.org" }
  }
  expect "partner" {
    headers = { x-partner-signature = "sha256=${hmac_sha256("partner-test-key", "{\"email\":\"ada@example.com\",\"id\":7}")}" }
    body    = { id = 7, email = "ada@example.com" }
  }
}
