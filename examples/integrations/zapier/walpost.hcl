# Everything about contacts starts a Zap.

database {
  url = env("DATABASE_URL")
}

webhook "zapier" {
  name   = "Zapier"
  topics = ["contact.*", "user.*", "lead.*"]

  # The URL of "Catch Hook". Who knows it can start the Zap: it is a secret.
  url = env("ZAPIER_HOOK_URL")

  # A Zap's fields are easiest to map without nesting: data as it is, with the topic beside it.
  body_params = { source = "walpost" }

  success = [200]
}

test "a tag" {
  event {
    id             = "0192f5c0-0000-7000-8000-000000000001"
    aggregate_type = "contact"
    aggregate_id   = "7"
    type           = "contact.tagged"
    created_at     = "2023-11-14T22:13:20Z"
    payload        = { contact = { id = 7, type = "lead", email = "ada@example.com" }, tag = { id = 3, name = "vip" } }
  }
  response {
    status = 200
    json   = { status = "success" }
  }
  expect "zapier" {
    topic  = "contact.tagged"
    method = "POST"
    body = {
      id      = "0192f5c0-0000-7000-8000-000000000001", topic = "contact.tagged", created_at = 1700000000, source = "walpost"
      contact = { id = 7, type = "lead", email = "ada@example.com" }, tag = { id = 3, name = "vip" }
    }
    verdict = "delivered"
  }
}

test "too many at once" {
  event {
    type    = "contact.tagged"
    payload = { contact = { id = 7, type = "lead" }, tag = { name = "vip" } }
  }
  response {
    status = 429
  }
  expect "zapier" {
    verdict = "retry"
  }
}
