# Meetings start a scenario in Make.

database {
  url = env("DATABASE_URL")
}

webhook "make" {
  name   = "Make"
  topics = ["meeting.*"]

  # The address of a "Custom webhook", which is a secret.
  url      = env("MAKE_HOOK_URL")
  envelope = "standard"

  # Only 200 says that the scenario has it. A full queue (400) empties; a 410, for a hook that was
  # deactivated, disables this webhook until "walpost enable make".
  success = [200]
}

test "a meeting" {
  event {
    aggregate_type = "meeting"
    aggregate_id   = "5"
    type           = "meeting.scheduled"
    created_at     = "2023-11-14T22:13:20Z"
    payload        = { meeting = { id = 5, title = "Demo", status = "scheduled", start_at = 1700003600 } }
  }
  response {
    status = 200
    body   = "Accepted"
  }
  expect "make" {
    method = "POST"
    body = {
      type = "meeting.scheduled", timestamp = "2023-11-14T22:13:20Z"
      data = { meeting = { id = 5, title = "Demo", status = "scheduled", start_at = 1700003600 } }
    }
    verdict = "delivered"
  }
}

test "the queue is full" {
  event {
    aggregate_type = "meeting"
    type           = "meeting.cancelled"
    payload        = { meeting = { id = 5, status = "cancelled" } }
  }
  response {
    status = 400
    body   = "Queue is full."
  }
  expect "make" {
    verdict = "retry"
  }
}

test "the hook is deactivated" {
  event {
    aggregate_type = "meeting"
    type           = "meeting.rescheduled"
    payload        = { meeting = { id = 5, status = "scheduled" } }
  }
  response {
    status = 410
  }
  expect "make" {
    verdict = "gone"
  }
}
