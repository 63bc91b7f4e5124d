outbox {
  mode = "polling"
}

webhook "ordered" {
  topics   = ["*"]
  url      = "https://example.com/"
  order_by = event.aggregate_id # want "order_by with polling.*pg_advisory_xact_lock"
}
