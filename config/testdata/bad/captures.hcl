webhook "tickets" {
  topics = ["*"]
  url    = "https://crm.example/"
  when   = captured("tickets", event.id) != null # want "No captured\(\) here.*wait_for"

  capture { # want "Missing argument \"key\".*event.aggregate_id" "Missing argument \"value\".*response.json.id"
  }
}

webhook "kept" {
  topics = ["*"]
  url    = "https://crm.example/${captured("ticket", event.id)}" # want "Unknown webhook.*Did you mean \"tickets\"\?"
  headers = {
    X-A = captured("bare", event.id) # want "Webhook without capture"
    X-B = captured("kept")            # want "Not enough function arguments"
    X-C = captured(event.type, event.data.n).any.thing
    X-D = captured("kept", {})        # want "Invalid function argument"
  }

  capture {
    key   = { a = event.id }   # want "Invalid \"key\".*a string or number.*not an object"
    value = env("TOKEN")       # want "Secret where none may go.*kept in the ledger"
  }
}

webhook "plain" {
  topics = ["*"]
  url    = "https://crm.example/"

  capture {
    key   = response.json.id # want "No response here"
    value = response.json.id
    ttl   = "1d"             # want "Unsupported argument \"ttl\""
  }
}

webhook "bare" {
  topics = ["*"]
  url    = "https://crm.example/"
  body   = captured("bare", event.id) # want "Webhook without capture.*keeps nothing"
}

rule "lead" {
  when  = captured("tickets", event.id) == null # want "No captured\(\) here.*A rule looks at the event alone"
  topic = "lead.created"
}

egress {
  allow = [captured("tickets", "1")] # want "No captured\(\) here.*decided once"
}
