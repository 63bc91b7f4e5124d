# Receivers that must not do it twice
#
# A crash, or an answer that got lost, makes walpost send a delivery again: with the same
# webhook-id and the same body, at every attempt. Receivers that keep the ids they have
# seen are safe. Where a receiver wants a key of its own, event.id never changes; PUT to
# a URL made of it needs no key at all.

database {
  url = env("DATABASE_URL")
}

topic "order.placed" {
  description = "An order is placed"
}

webhook "orders" {
  topics = ["order.placed"]
  method = "PUT"
  url    = "https://shop.example.com/orders/${urlencode(event.aggregate_id)}"
  body   = { total = event.data.order.total }
}

webhook "payments" {
  topics  = ["order.placed"]
  url     = "https://pay.example.com/charges"
  headers = { X-Request-Id = event.id }
  body    = { amount = event.data.order.total }
}

test "the same each time" {
  event {
    id             = "11111111-2222-4333-8444-555555555555"
    aggregate_type = "order"
    aggregate_id   = "R/17"
    type           = "placed"
    payload        = { order = { total = 129.9 } }
  }
  expect "orders" {
    method = "PUT"
    url    = "https://shop.example.com/orders/R%2F17"
  }
  expect "payments" {
    headers = { x-request-id = "11111111-2222-4333-8444-555555555555" }
    body    = { amount = 129.9 }
  }
}
