webhook "get" {
  topics = ["*"]
  url    = "https://crm.example/"
  method = "GET"
  form   = { a = 1 }       # want "Body on GET.*Leave form out"
  query  = { topic = "x" } # want "Reserved query parameter \"topic\""
}

webhook "both" {
  topics      = ["*"]
  url         = "https://crm.example/"
  form        = { a = 1, a = 2, b = {}, c = ["a", 1] } # want "Duplicate form parameter \"a\"" "Invalid \"form\".*a list for several of the name, not an object" "Both body and form"
  body        = { a = 1 }
  query       = { a = 1, a = {} }         # want "Duplicate query parameter \"a\"" "Invalid \"query\".*not an object"
  retry_on    = [200, 403, 410]           # want "410 has its own meaning" "Status with two meanings.*403 is in permanent" "Status with two meanings.*200 is in success"
  success     = [200]
  permanent   = [403]
}

webhook "form" {
  topics      = ["*"]
  url         = "https://crm.example/"
  form        = merge({}, {}) # want "Invalid \"form\".*names are written out"
  envelope    = "raw"         # want "Both form and envelope"
  body_params = { b = 2 }     # want "Both form and body_params.*Write the parameters into form"
  query       = { (event.id) = 1 } # want "Computed name in \"query\""
}
