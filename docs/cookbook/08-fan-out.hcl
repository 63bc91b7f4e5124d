# One event, two receivers
#
# Every webhook that takes a topic gets it: each with its own queue, its own retries, and
# a webhook-id of its own. One that is slow or down doesn't hold up the other.

database {
  url = env("DATABASE_URL")
}

webhook "crm" {
  topics = ["contact.*", "lead.created"]
  url    = "https://crm.example.com/hooks"
}

webhook "warehouse" {
  topics   = ["*"]
  url      = "https://warehouse.example.com/ingest"
  envelope = "raw"
  timeout  = "30s"
  retry    = ["1m", "10m", "1h", "6h", "24h"]
}

test "both get a tag" {
  event {
    type    = "tagged"
    payload = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
  expect "crm" {
    topic = "contact.tagged"
  }
  expect "warehouse" {
    topic = "contact.tagged"
    body  = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
}

test "only the warehouse gets a meeting" {
  event {
    aggregate_type = "meeting"
    type           = "scheduled"
    payload        = { meeting = { id = 1, status = "scheduled" } }
  }
  expect "warehouse" {
    topic = "meeting.scheduled"
  }
  expect_none = ["crm"]
}
