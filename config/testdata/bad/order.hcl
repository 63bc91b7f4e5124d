webhook "values" {
  topics   = ["*"]
  url      = "https://crm.example/"
  order_by = { id = event.aggregate_id } # want "Invalid \"order_by\".*a string, number, bool, or a list of them"
}

webhook "constant" {
  topics   = ["*"]
  url      = "https://crm.example/"
  order_by = "all" # want "order_by is the same for all events.*one that fails holds all others"
}

webhook "null" {
  topics   = ["*"]
  url      = "https://crm.example/"
  order_by = null # want "order_by is null.*No event has an order"
}

webhook "alone" {
  topics      = ["*"]
  url         = "https://crm.example/"
  order_by    = event.aggregate_id # want "order_by with concurrency = 1.*keeps every key waiting"
  concurrency = 1
}

webhook "scope" {
  topics   = ["*"]
  url      = "https://crm.example/"
  order_by = captured("x", event.id) # want "No captured.*decided when it comes"
  batch {}
}

webhook "batch" {
  topics   = ["*"]
  url      = "https://crm.example/"
  order_by = events[0].id # want "No events here"
  batch {}
}
