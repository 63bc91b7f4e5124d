rule "vip" {
  when  = event.typ == "created" # want "Unknown event attribute \"typ\".*Did you mean \"type\"\?"
  topic = "lead.created"
  data  = event.data             # want "No event.data here.*event.payload"
}

rule "later" {
  when  = event.topic == "x"     # want "No event.topic here.*A rule decides the topic"
  topic = "lead.created"
  data  = [event.payload]        # want "Invalid \"data\".*an object.*not a list"
}

rule "words" {
  when  = "true"                 # want "Invalid \"when\".*true or false.*not a string"
  topic = "lead.created"
  data  = null                   # want "Invalid \"data\".*not null"
}

rule "type" {
  when  = event.type             # want "Invalid \"when\".*not a string"
  topic = "lead.created"
}

webhook "crm" {
  topics = ["*"]
  url    = "https://crm.example/${event["idd"]}" # want "Unknown event attribute \"idd\".*Did you mean \"id\"\?"
  when   = uper(event.type) == "X"             # want "Unknown function \"uper\".*Did you mean \"upper\"\?"
  body = {
    now      = timestamp()                     # want "Unknown function \"timestamp\".*event.created_at"
    contact  = payload.contact                 # want "Unknown variable.*Write event.payload"
    contacts = evnt.payload                    # want "Unknown variable.*Did you mean \"event\"\?"
    who      = contact                         # want "Unknown variable.*in quotes"
    count    = event.type + 1                  # fine: a string may be a number
    upper    = upper()                         # want "Not enough function arguments"
    bad      = upper([])                       # want "Invalid function argument"
    regex    = regex("(", "x")                 # want "Invalid function argument"
    sub      = event.id.foo                    # want "Unsupported attribute"
    names    = [for c in event.payload.contacts : c.name]
    fallback = try(event.payload.a.b, "none")
  }
  headers = {
    X-List = [1]                               # want "Invalid \"headers\".*a string, not a list"
  }
}
