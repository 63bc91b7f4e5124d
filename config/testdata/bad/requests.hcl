webhook "get" {
  topics = ["*"]
  url    = "https://crm.example/"
  method = "GET"
  body   = { a = 1 } # want "Body on GET.*go into the query"
}

webhook "both" {
  topics      = ["*"]
  url         = "https://crm.example/"
  body        = { a = 1 }
  body_params = { b = 2 } # want "Both body and body_params"
  envelope    = "raw"     # want "Both body and envelope"
}

webhook "params" {
  topics = ["*"]
  url    = "https://crm.example/"
  body_params = {
    id         = 1 # want "Reserved body parameter \"id\""
    created_at = 1 # want "Reserved body parameter \"created_at\""
    data       = 1
    a          = 1
    a          = 2 # want "Duplicate body parameter \"a\""
  }
}

webhook "standard_params" {
  topics      = ["*"]
  url         = "https://crm.example/"
  envelope    = "standard"
  body_params = { data = 1, id = 2 } # want "Reserved body parameter \"data\""
}

webhook "computed" {
  topics      = ["*"]
  url         = "https://crm.example/"
  body_params = merge({}, {})             # want "Invalid \"body_params\".*names are written out"
  headers     = { "X-${event.id}" = "x" } # want "Computed name in \"headers\""
}

webhook "headers" {
  topics = ["*"]
  url    = "https://crm.example/"
  headers = {
    webhook-id      = "x"    # want "Reserved header Webhook-Id"
    HOST            = "x"    # want "Reserved header Host.*follows from the url"
    Content-Length  = 7      # want "Reserved header Content-Length"
    Idempotency-Key = event.id # want "Header Idempotency-Key.*Receivers should use the header webhook-id"
    "X Space"       = "x"    # want "Invalid header name"
    X-Break         = "a\nb" # want "Invalid header value"
    X-Twice         = 1
    x-twice         = 2      # want "Duplicate header X-Twice"
  }
}
