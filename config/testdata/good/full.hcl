# Every argument and block there is.
database {
  url             = env("DATABASE_URL")
  replication_url = env("DIRECT_URL", "postgres://app@db:5432/app")
}

outbox {
  table       = "app.outbox_events"
  slot        = "walpost_2"
  publication = "Walpost"
  start       = "backlog"
  messages    = "app.events"
  retention   = "36h"
  max_payload = "4MiB"

  columns {
    aggregate_type = "aggregatetype"
    aggregate_id   = "aggregateid"
    event_type     = "type"
    headers        = "-"
  }
}

ledger {
  record    = "all"
  retention = "14d"
  hold      = "30d"
}

admin {
  listen = "0.0.0.0:8710"
  token  = env("TOKEN")
}

egress {
  allow = ["10.1.2.3", "fd00::/8"]
  deny  = ["10.0.0.0/8"]
}

rules = "gist"

defaults {
  method      = "PUT"
  headers     = { X-Source = "walpost", X-Team = "growth" }
  timeout     = "3s"
  retry       = ["1m", "1h30m"]
  success     = [200, 204]
  permanent   = [400]
  concurrency = 8
  queue       = 50
}

topic "invoice.paid" {
  title       = "Invoice paid"
  description = "An invoice is paid"
  event_types = ["paid"]
}

topic "order-item.added_twice" {
  aggregate   = "order"
  event_types = []
}

rule "vip_lead" {
  when  = event.aggregate_type == "contact" && event.type == "created" && event.payload.contact.type == "lead"
  topic = "lead.created"
  data  = { contact = event.payload.contact }
}

rule "always" {
  topic = "order-item.added_twice"
}

webhook "crm" {
  name    = "Salesforce leads"
  topics  = ["lead.created", "contact.*", "*.paid"]
  when    = try(event.data.contact.plan, "free") != "free"
  method  = "POST"
  url     = "https://crm.example.com/leads/${urlencode(event.data.contact.email)}"
  headers = { x-source = event.type, Authorization = "Bearer ${env("TOKEN")}", X-Count = 3, X-None = null }
  body    = { LastName = event.data.contact.name, Company = try(event.data.contact.company, "unknown") }
  timeout = "10s"
  retry   = []
  enabled = false

  concurrency     = "auto"
  concurrency_max = 64
  rate_limit      = "600/m"
  breaker         = true
  queue           = 1000
  success         = [200, 201, 207]
  permanent       = []

  sign {
    secret   = trimspace(file("crm.secret"))
    previous = env("CRM_SECRET_OLD", "")
  }
}

webhook "tickets" {
  topics      = ["conversation.*"]
  url         = event.type == "closed" ? "https://a.example/x" : "${env("BASE_URL")}/tickets/${event.aggregate_id}"
  envelope    = "raw"
  body_params = { id = 1, source = "gist", nested = { list = [for t in event.data.conversation.tags[*].name : upper(t)] } }
}

webhook "analytics" {
  topics   = ["contact.page_visited"]
  url      = format("https://ga.example/collect?secret=%s&cid=%s", env("TOKEN"), event.aggregate_id)
  method   = "GET"
  body_params = { page = event.data.page_visit.url }
}
