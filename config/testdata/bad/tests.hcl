webhook "crm" {
  topics = ["contact.*"]
  url    = "https://crm.example/"
}

webhook "tickets" {
  topics = ["conversation.*"]
  url    = "https://crm.example/"

  batch {
  }

  capture {
    key   = event.aggregate_id
    value = response.json.id
  }
}

test "nothing" { # want "Missing \"event\" block" "Nothing expected"
}

test "nothing" { # want "Duplicate test \"nothing\""
  event {
    type = "tagged"
  }
  expect_none = ["crn", "crm"] # want "Unknown webhook.*Did you mean \"crm\"\?"
}

test { # want "Missing name of \"test\" block.*test \"a tag"
  event { # want "Missing argument \"type\""
    id         = ""             # want "Empty \"id\""
    payload    = [1]            # want "Invalid \"payload\".*an object.*not a list"
    headers    = null           # want "Invalid \"headers\".*not null"
    created_at = "yesterday"    # want "Invalid \"created_at\".*2026"
    typ        = "x"            # want "Unsupported argument \"typ\".*Did you mean \"type\""
  }
  captured = {
    crm     = { "1" = 2 }       # want "Webhook without capture.*\"crm\""
    nobody  = {}                # want "Unknown webhook"
    tickets = 7                 # want "Invalid \"captured.tickets\".*an object of keys.*not a number"
  }
  expect "crm" {
    topic = "contact.taged"     # want "Unknown topic.*Did you mean \"contact.tagged\""
    body  = event.payload       # want "No event here"
    query = { a = [1] }         # want "Invalid \"query.a\".*a string, not a list"
    form  = "a"                 # want "Invalid \"form\".*an object, not a string"
  }
  expect "crm" { # want "Duplicate expect \"crm\""
    verdict = "retry"           # want "No response to judge.*response block"
    method  = "get"             # want "Invalid \"method\".*Did you mean \"GET\""
  }
  expect "crmm" { # want "Unknown webhook.*Did you mean \"crm\""
  }
  expect_none = ["crm"]         # want "Both expected and not"
}

test "several" {
  event {
    type    = "tagged"
    payload = { token = env("TOKEN") } # want "Secret where none may go"
  }
  event {
    type = "tagged"
  }
  response {
    status = 99                 # want "Invalid \"status\""
    json   = {}
    body   = "x"                # want "Both json and body"
  }
  expect "crm" { # want "Several events without a batch"
    verdict = "good"            # want "Invalid \"verdict\".*\"delivered\", \"retry\", \"rejected\" or \"gone\""
    capture = {}                # want "Webhook without capture"
    failed  = ["1"]             # want "Nothing can fail alone"
  }
  expect "tickets" {
    capture = { "1" = 2 }
    failed  = []                # want "Nothing can fail alone"
  }
}
