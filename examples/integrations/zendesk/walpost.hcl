# Conversations of the application become tickets in Zendesk: opened, commented on, solved.

database {
  url = env("DATABASE_URL")
}

locals {
  # Such as https://acme.zendesk.com
  zendesk = "${env("ZENDESK_URL")}/api/v2"

  # The number of the ticket, once there is one.
  ticket = captured("zendesk_open", event.data.conversation.id)

  # Such a request can't become right by itself.
  final = [400, 401, 403, 404, 422]
}

webhook "zendesk_open" {
  name   = "Zendesk: open a ticket"
  topics = ["conversation.initiated"]

  locals {
    contact = try(event.data.contact, null)
  }

  method = "POST"
  url    = "${local.zendesk}/tickets"

  auth "basic" {
    username = "${env("ZENDESK_EMAIL")}/token"
    password = env("ZENDESK_API_TOKEN")
  }

  # For two hours Zendesk gives the same answer to the same key, instead of a second ticket. So all
  # attempts are within two hours of the first: 96 minutes, and time for those that hang.
  headers = { Idempotency-Key = "gist-${event.id}" }
  retry   = ["1m", "5m", "15m", "30m", "45m"]

  body = {
    ticket = merge(
      {
        subject     = substr(coalesce(event.data.conversation.title, event.data.message.body, "A conversation in Gist"), 0, 150)
        external_id = tostring(event.data.conversation.id)
        comment     = { body = coalesce(event.data.message.body, "(no text)") }
        tags        = ["gist"]
      },
      try(strcontains(local.contact.email, "@"), false) ? {
        requester = { email = local.contact.email, name = coalesce(local.contact.name, local.contact.email) }
      } : null
    )
  }

  success   = [201]
  permanent = local.final

  capture {
    key   = event.data.conversation.id
    value = response.json.ticket.id
  }
}

webhook "zendesk_comment" {
  name   = "Zendesk: add a comment"
  topics = ["conversation.message_received", "conversation.teammate_replied", "conversation.note_added"]

  # The first message is in the ticket from the beginning.
  when = !endswith(event.type, "initiated")

  # Without a ticket there is nothing to comment on.
  wait_for = local.ticket != null

  method = "PUT"
  url    = "${local.zendesk}/tickets/${local.ticket}"

  auth "basic" {
    username = "${env("ZENDESK_EMAIL")}/token"
    password = env("ZENDESK_API_TOKEN")
  }

  body = {
    ticket = {
      comment = {
        body   = "${coalesce(try(event.data.message.author.name, null), "Someone")}: ${event.data.message.body}"
        public = event.topic != "conversation.note_added"
      }
    }
  }

  # The first wait is short, for a message that comes before the ticket's number is known.
  retry     = ["10s", "1m", "5m", "30m", "1h", "3h"]
  success   = [200]
  permanent = local.final
}

webhook "zendesk_close" {
  name     = "Zendesk: solve the ticket"
  topics   = ["conversation.closed"]
  wait_for = local.ticket != null

  method = "PUT"
  url    = "${local.zendesk}/tickets/${local.ticket}"

  auth "basic" {
    username = "${env("ZENDESK_EMAIL")}/token"
    password = env("ZENDESK_API_TOKEN")
  }

  # Solved, not closed: nobody can change a closed ticket any more.
  body = { ticket = { status = "solved" } }

  retry     = ["10s", "1m", "5m", "30m", "1h", "3h"]
  success   = [200]
  permanent = local.final
}

test "a conversation opens a ticket" {
  event {
    id             = "0192f5c0-0000-7000-8000-000000000001"
    aggregate_type = "conversation"
    aggregate_id   = "42"
    type           = "conversation.initiated"
    payload = {
      conversation = { id = 42, title = null, state = "open" }
      message      = { id = 1, body = "My invoice is wrong.", author = { type = "contact", id = 7 } }
      contact      = { id = 7, type = "user", name = "Ada Lovelace", email = "ada@example.com" }
    }
  }
  response {
    status = 201
    json   = { ticket = { id = 1001, status = "new" } }
  }
  expect "zendesk_open" {
    method  = "POST"
    url     = "${local.zendesk}/tickets"
    headers = { Idempotency-Key = "gist-0192f5c0-0000-7000-8000-000000000001" }
    body = { ticket = {
      subject   = "My invoice is wrong.", external_id = "42", comment = { body = "My invoice is wrong." }, tags = ["gist"]
      requester = { name = "Ada Lovelace", email = "ada@example.com" }
    } }
    verdict = "delivered"
    capture = { "42" = 1001 }
  }
  expect_none = ["zendesk_comment"]
}

test "a message becomes a comment" {
  event {
    aggregate_type = "conversation"
    aggregate_id   = "42"
    type           = "conversation.message_received"
    payload = {
      conversation = { id = 42, state = "open" }
      message      = { id = 2, body = "Hello?", author = { type = "contact", id = 7, name = "Ada" } }
    }
  }
  captured = { zendesk_open = { "42" = 1001 } }
  response {
    status = 200
    json   = { ticket = { id = 1001, status = "open" } }
  }
  expect "zendesk_comment" {
    method  = "PUT"
    url     = "${local.zendesk}/tickets/1001"
    body    = { ticket = { comment = { body = "Ada: Hello?", public = true } } }
    verdict = "delivered"
  }
  expect_none = ["zendesk_open"]
}

test "a note is not public" {
  event {
    aggregate_type = "conversation"
    type           = "conversation.note_added"
    payload = {
      conversation = { id = 42 }
      message      = { id = 3, message_type = "note", body = "VIP", author = { type = "teammate", id = 9, name = "Grace" } }
    }
  }
  captured = { zendesk_open = { "42" = 1001 } }
  expect "zendesk_comment" {
    body = { ticket = { comment = { body = "Grace: VIP", public = false } } }
  }
}

test "a closed conversation solves the ticket" {
  event {
    aggregate_type = "conversation"
    type           = "conversation.closed"
    payload        = { conversation = { id = 42, state = "closed" } }
  }
  captured = { zendesk_open = { "42" = 1001 } }
  expect "zendesk_close" {
    method = "PUT"
    url    = "${local.zendesk}/tickets/1001"
    body   = { ticket = { status = "solved" } }
  }
}

test "a ticket that two change at once is tried again" {
  event {
    aggregate_type = "conversation"
    type           = "conversation.closed"
    payload        = { conversation = { id = 42, state = "closed" } }
  }
  captured = { zendesk_open = { "42" = 1001 } }
  response {
    status = 409
    json   = { error = "Conflict", description = "The resource was updated by somebody else." }
  }
  expect "zendesk_close" {
    verdict = "retry"
  }
}

test "a closed ticket can't be changed" {
  event {
    aggregate_type = "conversation"
    type           = "conversation.message_received"
    payload        = { conversation = { id = 42 }, message = { id = 2, body = "Hello?", author = { type = "contact" } } }
  }
  captured = { zendesk_open = { "42" = 1001 } }
  response {
    status = 422
    json   = { error = "RecordInvalid", description = "Record validation errors" }
  }
  expect "zendesk_comment" {
    body    = { ticket = { comment = { body = "Someone: Hello?", public = true } } }
    verdict = "rejected"
  }
}
