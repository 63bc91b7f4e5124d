webhook "get" {
  topics = ["*"]
  url    = "https://crm.example/"
  method = "DELETE"
  batch { # want "Batch with DELETE.*no body"
  }
}

webhook "values" {
  topics = ["*"]
  url    = "https://crm.example/"
  batch {
    max    = 0                     # want "Invalid \"max\".*from 1"
    wait   = "1m"                  # want "Invalid \"wait\".*to 10s"
    failed = response.status == 1  # want "Invalid \"failed\".*a list of event ids"
    size   = 3                     # want "Unsupported argument \"size\".*There are: failed, max, wait"
  }
  batch { # want "Duplicate \"batch\" block"
  }
}

webhook "scope" {
  topics         = ["*"]
  url            = "https://crm.example/${event.id}"    # want "No event here.*A batch has several events"
  query          = { n = length(events), t = event.typ } # want "No event here"
  when           = event.type == "a" && length(events) > 1 # want "No events here.*only in a webhook that has a batch"
  body           = { all = [for e in events : { id = e.id, typ = e.typ }], ids = events[*].idd, first = events[0].topic } # want "Unknown event attribute \"typ\".*Did you mean \"type\"" "Unsupported attribute"
  success_when   = response.stat == 200                # want "Unknown response attribute \"stat\".*Did you mean \"status\"\?"
  permanent_when = event.id == "x"                     # want "No event here"
  body_params    = { a = 1 }                           # want "Both body and body_params" "Both batch and body_params"
  wait_for       = true                                # want "Both batch and wait_for"

  batch {
    failed = [for e in events : e.id if upper(e.foo, 1) == "X"] # want "Unknown event attribute \"foo\"" "Too many function arguments"
  }

  capture {
    key   = event.id
    value = response.json.results[events[0].id] # want "No events here"
  }
}

webhook "single" {
  topics = ["*"]
  url    = "https://crm.example/"
  body   = [for e in events : e.id]                    # want "No events here.*write event"
  when   = response.status == 200                      # want "No response here.*success_when"
  query  = { s = response.status }                     # want "No response here"
  success_when   = response.json                       # fine: it may be true or false
  permanent_when = response.status                     # want "Invalid \"permanent_when\".*true or false.*not a number"
  wait_for       = "no"                                # want "Invalid \"wait_for\".*captured.*not a string"
}

webhook "loops" {
  topics = ["*"]
  url    = "https://crm.example/"
  body = {
    nested = [for a in event.data.contact.tags : [for b in event.payload.contact.tags : uper(b)]] # want "Unknown function \"uper\""
    types  = [for a in event.data.contact.tags : a + []]       # want "Invalid operand"
    tried  = try([for a in event.data.contact.tags : a + []], 1)
    known  = [for i in [1, 2] : i.x]                   # want "Unsupported attribute"
    keys   = { for k, v in event.data.contact.custom_properties : k => v.typ }
  }
}

webhook "bombs" {
  topics      = ["*"]
  url         = "https://crm.example/"
  body_params = {
    a = [for a in range(1024) : [for b in range(1024) : [for c in range(1024) : a]]] # want "Too many steps.*more than 20,000"
    b = [for a in range(1000) : [for b in range(a) : [for c in range(b) : c]]]       # want "Too many steps"
    c = [for a in [for b in range(1024) : [for c in range(1024) : b]] : a]           # want "Too many steps"
    d = [for a in range(100) : [for b in range(100) : a + b]]
  }
}

webhook "bombs_elsewhere" {
  topics  = ["*"]
  url     = "https://crm.example/"
  when    = length([for a in range(1024) : [for b in range(1024) : [for c in range(1024) : a]]]) == 1 # want "Too many steps"
  headers = { Authorization = join("", flatten([for a in range(1024) : [for b in range(1024) : [for c in range(1024) : "a"]]])) } # want "Too many steps"
}
