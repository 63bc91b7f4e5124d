# Users and what they do go to Segment, and from there anywhere.

database {
  url = env("DATABASE_URL")
}

locals {
  # https://eu1.api.segmentapis.com for a workspace in the EU.
  segment = env("SEGMENT_URL", "https://api.segment.io")
}

webhook "segment" {
  name   = "Segment"
  topics = ["user.created", "contact.event_performed"]

  # A call without a name would cost its whole batch.
  when = event.topic == "user.created" || coalesce(event.data.event.event_name) != null

  url = "${local.segment}/v1/batch"

  # The write key is the user, and there is no password.
  auth "basic" {
    username = env("SEGMENT_WRITE_KEY")
    password = ""
  }

  batch {
    max  = 15 # a batch may have 500 KB, and a call 32 KB
    wait = "1s"
  }

  # messageId is the event's: what is sent twice counts once.
  body = {
    batch = [for e in events : { for name, value in {
      type        = e.topic == "user.created" ? "identify" : "track"
      messageId   = e.id
      timestamp   = e.created_at
      userId      = tostring(coalesce(e.data.contact.user_id))
      anonymousId = coalesce(e.data.contact.user_id) == null ? "gist.${e.data.contact.id}" : null
      event       = try(e.data.event.event_name, null)
      properties  = try(e.data.event.properties, null)
      traits      = e.topic == "user.created" ? { name = e.data.contact.name, email = e.data.contact.email } : null
    } : name => value if value != null }]
  }

  # 200 says that Segment has the batch, and not that it keeps every call: see its debugger.
  success_when = response.status == 200 && try(response.json.success, true)
  permanent    = [400, 401]
}

test "a user and an event" {
  event {
    id         = "0192f5c0-0000-7000-8000-000000000001"
    type       = "user.created"
    created_at = "2023-11-14T22:13:20Z"
    payload    = { contact = { id = 7, type = "user", user_id = "u-7", name = "Ada", email = "ada@example.com" } }
  }
  event {
    id         = "0192f5c0-0000-7000-8000-000000000002"
    type       = "contact.event_performed"
    created_at = "2023-11-14T22:13:20Z"
    payload    = { contact = { id = 8, type = "lead" }, event = { event_name = "Order Completed", properties = { total = 9.5 } } }
  }
  response {
    status = 200
    json   = { success = true }
  }
  expect "segment" {
    method = "POST"
    url    = "${local.segment}/v1/batch"
    body = { batch = [
      {
        type   = "identify", messageId = "0192f5c0-0000-7000-8000-000000000001", timestamp = "2023-11-14T22:13:20Z", userId = "u-7"
        traits = { name = "Ada", email = "ada@example.com" }
      },
      {
        type        = "track", messageId = "0192f5c0-0000-7000-8000-000000000002", timestamp = "2023-11-14T22:13:20Z"
        anonymousId = "gist.8", event = "Order Completed", properties = { total = 9.5 }
      },
    ] }
    verdict = "delivered"
  }
}

test "Segment has not taken it" {
  event {
    type    = "contact.event_performed"
    payload = { contact = { id = 8, type = "lead" }, event = { event_name = "Order Completed" } }
  }
  response {
    status = 200
    json   = { success = false }
  }
  expect "segment" {
    verdict = "retry"
  }
}

test "a batch that is too large is final" {
  event {
    type    = "contact.event_performed"
    payload = { contact = { id = 8, type = "lead" }, event = { event_name = "Order Completed" } }
  }
  response {
    status = 400
  }
  expect "segment" {
    verdict = "rejected"
  }
}
