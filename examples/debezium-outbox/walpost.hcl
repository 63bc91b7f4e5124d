database {
  url = env("DATABASE_URL")
}

# An outbox that is there already, under Debezium's names. A slot and a publication of its own let
# walpost and Debezium follow it side by side.
outbox {
  table       = "public.outboxevent"
  slot        = "walpost"
  publication = "walpost"

  columns {
    aggregate_type = "aggregatetype"
    aggregate_id   = "aggregateid"
    event_type     = "type"
    headers        = "-" # the table has none
    created_at     = "-"
  }
}

# The application's own events instead of the built-in pack.
rules = "none"

topic "order.created" {
  title       = "Order created"
  event_types = ["OrderCreated"]
}

topic "order.large" {
  title       = "Large order"
  event_types = [] # only by the rule below
}

rule "large_order" {
  when  = event.type == "OrderCreated" && event.payload.total >= 1000
  topic = "order.large"
}

webhook "fulfilment" {
  topics   = ["order.created"]
  url      = env("FULFILMENT_URL")
  envelope = "standard"
}

webhook "sales" {
  topics = ["order.large"]
  url    = env("SALES_URL")
  body   = { text = "Order ${event.aggregate_id} over ${event.data.total}" }
}
