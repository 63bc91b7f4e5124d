# Remember an answer, and wait for it
#
# The first webhook opens a ticket and keeps its id under the conversation's. The second
# one needs that id in its URL: as long as it isn't known, wait_for puts the reply off,
# by the retry schedule. A retry of the first must not open a second ticket: it sends the
# conversation's id as external_id, by which this receiver recognizes it.

database {
  url = env("DATABASE_URL")
}

webhook "ticket_open" {
  topics = ["conversation.initiated"]
  url    = "https://desk.example.com/tickets"
  body   = { external_id = tostring(event.data.conversation.id), subject = event.data.conversation.title }
  capture {
    key   = event.data.conversation.id
    value = response.json.ticket.id
  }
}

webhook "ticket_reply" {
  topics   = ["conversation.teammate_replied"]
  wait_for = captured("ticket_open", event.data.conversation.id) != null
  method   = "PUT"
  url      = "https://desk.example.com/tickets/${urlencode(captured("ticket_open", event.data.conversation.id))}"
  body     = { comment = event.data.message.body }
  retry    = ["10s", "1m", "5m", "1h", "3h"]
}

test "the id is kept" {
  event {
    aggregate_type = "conversation"
    type           = "initiated"
    payload        = { conversation = { id = 42, title = "Hello" }, message = { id = 1, body = "Hello", author = { type = "contact" } } }
  }
  response {
    status = 201
    json   = { ticket = { id = 1001 } }
  }
  expect "ticket_open" {
    body    = { external_id = "42", subject = "Hello" }
    verdict = "delivered"
    capture = { "42" = 1001 }
  }
}

test "and used" {
  event {
    aggregate_type = "conversation"
    type           = "teammate_replied"
    payload        = { conversation = { id = 42 }, message = { id = 2, body = "On its way.", author = { type = "teammate" } } }
  }
  captured = { ticket_open = { "42" = 1001 } }
  expect "ticket_reply" {
    method = "PUT"
    url    = "https://desk.example.com/tickets/1001"
    body   = { comment = "On its way." }
  }
}

test "or waited for" {
  event {
    aggregate_type = "conversation"
    type           = "teammate_replied"
    payload        = { conversation = { id = 43 }, message = { id = 3, body = "On its way.", author = { type = "teammate" } } }
  }
  expect_none = ["ticket_reply"]
}
