# What the language of rules has beyond full.hcl.
database {
  url = env("DATABASE_URL")
}

locals {
  api   = "https://api.example.com"
  email = lower(event.payload.contact.email)
  v2    = "${local.api}/v2"
}

rule "lead" {
  when  = event.type == "signed_up" && local.email != null
  topic = "lead.created"
  data  = { contact = { email = local.email } }
}

webhook "analytics" {
  topics = ["contact.page_visited"]
  url    = "https://ga.example.com/collect"
  query  = { measurement_id = "G-1", api_secret = env("TOKEN"), debug = null }
  body   = { client_id = "42", events = [for e in events : { name = "page", params = { url = e.data.page_visit.url } }] }

  success_when = response.status == 204
  retry_on     = [403]

  batch {
    max    = 25
    wait   = "500ms"
    failed = [for e in response.json.errors : e.id]
  }
}

webhook "zendesk_open" {
  locals {
    id    = event.data.conversation.id
    email = upper(local.v2)
  }

  topics         = ["conversation.initiated"]
  url            = "${local.api}/tickets/${local.email}"
  form           = { id = local.id, page = null }
  permanent_when = response.status == 400 && response.json.title == "Member In Compliance State"

  capture {
    key   = local.id
    value = response.json.ticket.id
  }

  auth "oauth2" {
    token_url     = "${local.api}/token"
    client_id     = env("TOKEN")
    client_secret = env("TOKEN")
    scopes        = ["tickets:write"]
    params        = { resource = local.v2 }
  }
}

webhook "zendesk_close" {
  topics   = ["conversation.closed"]
  url      = "${local.api}/tickets/${captured("zendesk_open", event.data.conversation.id)}"
  method   = "PUT"
  wait_for = captured("zendesk_open", event.data.conversation.id) != null

  auth "basic" {
    username = "agent@example.com/token"
    password = env("TOKEN")
  }
}

test "a closed conversation closes its ticket" {
  event {
    aggregate_type = "conversation"
    type           = "closed"
    payload        = { conversation = { id = 42 } }
  }
  captured = { zendesk_open = { "42" = 1001 } }
  response {
    status  = 200
    json    = { ok = true }
    headers = { X-Request-Id = 7 }
  }
  expect "zendesk_close" {
    topic   = "conversation.closed"
    method  = "PUT"
    url     = "https://api.example.com/tickets/1001"
    headers = { Content-Type = "application/json", X-None = null }
    body    = { conversation = { id = 42 } }
    verdict = "delivered"
  }
  expect_none = ["analytics"]
}
