webhook "crm" {
  topics  = ["lead.created"]
  timeout = = "10s" # want "Invalid expression"
  url     = 7
}

outbox {
  slot = "UPPER" # want "slot.*lower-case"
}
