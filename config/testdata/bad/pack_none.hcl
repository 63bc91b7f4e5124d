rules = "none"

topic "invoice.paid" {}

webhook "crm" {
  topics = ["lead.created"] # want "Unknown topic.*rules = \"none\" leaves out"
  url    = "https://crm.example/"
}
