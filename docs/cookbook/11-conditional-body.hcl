# A body that depends on the event
#
# "? :" chooses a value, merge() adds keys only where there is something to add.

database {
  url = env("DATABASE_URL")
}

webhook "desk" {
  topics = ["conversation.assigned", "conversation.closed"]
  url    = "https://desk.example.com/events"
  body = merge(
    {
      conversation = event.data.conversation.id
      state        = event.topic == "conversation.closed" ? "done" : "in progress"
    },
    event.data.assignee == null ? {} : { agent = event.data.assignee.name },
  )
}

test "assigned" {
  event {
    aggregate_type = "conversation"
    type           = "assigned"
    payload        = { conversation = { id = 42 }, assignee = { id = 31, type = "teammate", name = "Jean" } }
  }
  expect "desk" {
    body = { conversation = 42, state = "in progress", agent = "Jean" }
  }
}

test "closed by nobody" {
  event {
    aggregate_type = "conversation"
    type           = "closed"
    payload        = { conversation = { id = 42, state = "closed" } }
  }
  expect "desk" {
    body = { conversation = 42, state = "done" }
  }
}
