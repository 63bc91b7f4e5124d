locals {
  kind  = event.type
  plain = "all"
  many  = local[upper("kind")] # want "Locals made of each other.*local.many → local.many"
}

ledger {
  record = local[lower("PLAIN")] # want "No local.kind here.*made of event"
}

webhook "crm" {
  topics = ["*"]
  url    = "https://crm.example/${local[event.type]}"
}
