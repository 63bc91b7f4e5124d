topic "invoice.paid" {}

topic "invoice.due" {}

rule "b" {
  topic = "invoice.paid"
}

rule "a" {
  topic = "invoice.due"
}
