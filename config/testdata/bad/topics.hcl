topic "invoice.paid" {}

rule "vip" {
  topic = "lead.creatd" # want "Unknown topic.*Did you mean \"lead.created\"\?"
}

rule "number" {
  topic = 7 # want "Invalid \"topic\".*a string, such as \"lead.created\", not a number"
}

rule "none" { # want "Missing argument \"topic\""
}

webhook "crm" {
  url = "https://crm.example/"
  topics = [
    "invoice.paid",
    "invoice.payed",     # want "Did you mean \"invoice.paid\"\?"
    "tagged",            # want "Did you mean \"contact.tagged\"\?"
    "created.lead",      # want "Did you mean \"lead.created\"\?"
    "something.else",    # want "walpost rules gist"
    "invoices.*",        # want "No topic matches.*\"invoices.\*\""
    7,                   # want "topics in quotes.*not a number"
    event.topic,         # want "No event here"
    lead.created,        # want "Unknown name.*in quotes"
    env("TOKEN"),        # want "Secret where none may go"
  ]
}

webhook "nothing" {
  url    = "https://crm.example/"
  topics = [] # want "Empty \"topics\""
}

webhook "word" {
  url    = "https://crm.example/"
  topics = "lead.created" # want "Invalid \"topics\".*a list of topics.*not a string"
}

webhook "absent" { # want "Missing argument \"topics\".*Write for example"
  url = "https://crm.example/"
}
