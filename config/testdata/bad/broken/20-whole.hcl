webhook "crm" {
  topics  = ["order.paid"]
  url     = "https://crm.example/"
  timeout = "1 fortnight" # want "Invalid \"timeout\""
}
