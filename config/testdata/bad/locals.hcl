locals {
  a     = local.b # want "Locals made of each other.*local.a → local.b → local.c → local.a"
  b     = "${local.c}x"
  c     = upper(local.a)
  self  = local.self # want "local.self → local.self"
  again = 1
}

locals {
  api    = "https://api.example"
  email  = lower(event.data.contact.email)
  kind   = event.type
  events = length(events)
  ticket = captured("tickets", event.aggregate_id)
  typo   = local.apy             # want "Unknown local \"apy\".*Did you mean \"api\"\?"
  bad    = upper([])             # want "Invalid function argument"
  status = response.status       # want "No response here"
  outer  = "top"                  # want "Unused local \"outer\""
  again  = 2                     # want "Duplicate local \"again\".*first declared at locals.hcl:6"
  dsn    = env("DATABASE_URL")
}

locals "x" { # want "Label on \"locals\" block"
}

outbox {
  slot        = local.kind       # want "No local.kind here.*made of event, declared at locals.hcl:12.*decided once"
  publication = local.dsn        # want "Secret where none may go"
}

rule "lead" {
  when  = local.email != null    # want "No local.email here.*made of event.data.*event.payload is the row's payload"
  topic = "lead.created"
  data  = { t = local.ticket }   # want "No local.ticket here.*made of captured.*A rule looks at the event alone"
}

rule "secret" {
  when  = event.id == local.dsn  # want "Secret where none may go"
  topic = "lead.created"
}

webhook "tickets" {
  locals {
    inner = "${local.outer}/in"  # want "Locals made of each other.*local.inner → local.outer → local.inner"
    outer = local.inner
    uses  = [for x in event.data.list : x + local.again]
  }
  topics = ["*"]
  url    = "${local.api}/${local.uses[0]}"
  when   = local.typo2           # want "Unknown local \"typo2\""
  query  = { n = local.events, m = local.b, o = local.self, p = local.bad, q = local["api"], r = local.status, s = local.typo } # want "No local.events here.*made of events.*batch"

  capture {
    key   = event.aggregate_id
    value = response.json.id
  }
}

webhook "host" {
  locals {
    host = event.data.host
  }
  topics = ["*"]
  url    = "https://${local.host}/" # want "Host from the event"
}

webhook "batched" {
  topics = ["*"]
  url    = "https://crm.example/"
  body   = local.kind             # want "No local.kind here.*made of event,.*A batch has several events"
  when   = local.events > 1       # want "No local.events here"

  batch {
  }
}

locals {
  x0 = "0123456789012345678901234567890123456789"
  x1 = [for i in range(100) : "${local.x0}${local.x0}${local.x0}${local.x0}"]
  x2 = [for i in range(100) : local.x1] # want "Local \"x2\" is too large.*256KiB"
  x3 = [for i in range(100) : local.x2]
}

webhook "laughs" {
  locals {
    base = "https://${split("-", "a")[1]}.example/" # want "Invalid index"
  }
  topics = ["*"]
  url    = local.base
  body   = local.x3
}
