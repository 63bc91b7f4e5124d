# Several events in one request
#
# A "batch" collects up to "max" events, for at most "wait". The expressions of the
# request then see "events", a list. "failed" names those of them that a successful
# answer did not accept: they alone are tried again.

database {
  url = env("DATABASE_URL")
}

webhook "warehouse" {
  topics = ["contact.*"]
  url    = "https://warehouse.example.com/batch"
  body   = { records = [for e in events : { id = e.id, topic = e.topic, contact = e.data.contact.id }] }
  batch {
    max    = 500
    wait   = "2s"
    failed = [for r in coalesce(response.json.rejected, []) : r.id]
  }
}

test "two in one" {
  event {
    id      = "e1"
    type    = "tagged"
    payload = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
  event {
    id      = "e2"
    type    = "untagged"
    payload = { contact = { id = 8, type = "user" }, tag = { name = "vip" } }
  }
  response {
    status = 207
    json   = { rejected = [{ id = "e2", why = "unknown contact" }] }
  }
  expect "warehouse" {
    body = { records = [
      { id = "e1", topic = "contact.tagged", contact = 7 },
      { id = "e2", topic = "contact.untagged", contact = 8 },
    ] }
    verdict = "delivered"
    failed  = ["e2"]
  }
}
