# A topic of your own, from a rule
#
# "topic" declares it; a "rule" gives it to the events that match, and shapes the data.
# event_types = [] says that only rules give it. The other rules and topics of the event
# go on as before.

database {
  url = env("DATABASE_URL")
}

topic "invoice.large" {
  title       = "Large invoice paid"
  description = "An invoice of 10,000 or more is paid"
  event_types = []
}

rule "large" {
  when  = event.aggregate_type == "invoice" && event.type == "paid" && event.payload.invoice.total >= 10000
  topic = "invoice.large"
  data  = { number = event.payload.invoice.number, total = event.payload.invoice.total }
}

webhook "finance" {
  topics   = ["invoice.large"]
  url      = "https://finance.example.com/hooks"
  envelope = "raw"
}

test "a large one" {
  event {
    aggregate_type = "invoice"
    type           = "paid"
    payload        = { invoice = { number = "R-17", total = 12500.5, lines = [] } }
  }
  expect "finance" {
    topic = "invoice.large"
    body  = { number = "R-17", total = 12500.5 }
  }
}

test "a small one" {
  event {
    aggregate_type = "invoice"
    type           = "paid"
    payload        = { invoice = { number = "R-18", total = 99 } }
  }
  expect_none = ["finance"]
}
