ledger {
  record    = "everything" # want "Invalid \"record\".*\"failures\" or \"all\""
  retention = "7 weeks"    # want "Invalid \"retention\".*no unit"
  hold      = "1m"         # want "Invalid \"hold\".*from 1h to"
}

outbox {
  table       = "a.b.c"     # want "Invalid \"table\""
  publication = "my pub"    # want "Invalid \"publication\""
  messages    = "a b"       # want "Invalid \"messages\""
  start       = "backlogs"  # want "Invalid \"start\".*\"now\" or \"backlog\".*Did you mean \"backlog\"\?"
  retention   = "0"         # want "Invalid \"retention\".*Write \"never\" to keep all rows, or a duration from 1m"
  max_payload = "16 megs"   # want "Invalid \"max_payload\".*\"16MiB\".*no unit"

  columns {
    id      = ""            # want "Invalid \"id\".*column's name"
    payload = "-"           # want "Only headers and created_at may be \"-\""
    headers = 7             # want "Invalid \"headers\".*not a number"
  }
}

egress {
  allow = ["10.0.0.0/8", "intranet", "10.0.0.0/99"] # want "Invalid network" "Invalid network"
  deny  = "10.0.0.0/8"                              # want "Invalid \"deny\".*a list of networks"
}

admin {
  listen = "8710" # want "Invalid \"listen\".*127.0.0.1:8710"
}

defaults {
  method      = "post"                # want "Invalid \"method\".*Did you mean \"POST\"\?"
  envelope    = raw                   # want "Invalid \"envelope\".*Write it in quotes: envelope = \"raw\""
  timeout     = 10                    # want "a duration in quotes, such as \"10s\".*not a number"
  retry       = ["5m", "1", "0s", 3]  # want "the unit is missing" "a duration from 1s to 30d" "not a number"
  success     = [200, 410, 99, "x"]   # want "410 has its own meaning" "from 100 to 599" "not a string"
  permanent   = [400, 200]            # want "Status both good and bad.*200"
  enabled     = "yes"                 # want "true or false, without quotes, not a string"
  concurrency = 0                     # want "a whole number from 1 to 1000, or \"auto\""
  rate_limit  = "100"                 # want "Invalid \"rate_limit\".*the unit is missing"
  breaker     = "on"                  # want "true or false, without quotes, not a string"
  queue       = 1.5                   # want "a whole number from 1 to 1000000"
}

topic "invoice.paid" {
  title       = true                  # want "Invalid \"title\".*not true or false"
  event_types = ["invoice.paid", ""]  # want "Empty event type"
}

webhook "crm" {
  name    = null                      # want "No value for \"name\""
  topics  = ["invoice.*"]
  url     = "https://crm.example/"
  timeout = "10m"                     # want "a duration from 1ms to 5m"
  success = []                        # want "Empty \"success\""
  retry   = { a = 1 }                 # want "a list of durations.*not an object"
}

webhook "computed" {
  topics  = concat(["lead.created"], ["nope.nope"]) # want "Unknown topic"
  url     = "https://crm.example/"
  retry   = flatten([["5m"], ["soon"]])             # want "Invalid \"retry\".*whole number is missing"
  queue   = max(0, -1)                              # want "a whole number from 1 to 1000000"
  permanent = 400                                   # want "Invalid \"permanent\".*a list of statuses.*not a number"
}

webhook "rates" {
  topics          = ["lead.created"]
  url             = "https://crm.example/"
  concurrency = "Auto"     # want "Invalid \"concurrency\".*or \"auto\", not a string"
  rate_limit  = "100/sec"  # want "write \"/sec\" as \"/s\""
}

webhook "slow" {
  topics      = ["lead.created"]
  url         = "https://crm.example/"
  concurrency = auto           # want "Write it in quotes: concurrency = \"auto\""
  rate_limit  = 100            # want "a string, such as \"100/s\", not a number"
}

webhook "never" {
  topics     = ["lead.created"]
  url        = "https://crm.example/"
  rate_limit = "0/m"           # want "nothing could ever be sent"
}

webhook "often" {
  topics      = ["lead.created"]
  url         = "https://crm.example/"
  concurrency = "auto"
  rate_limit  = "1000000/h"    # want "at most 100000; take a smaller unit"
}

webhook "half" {
  topics     = ["lead.created"]
  url        = "https://crm.example/"
  rate_limit = "1.5/s"         # want "isn't whole.*\"90/m\""
}

webhook "daily" {
  topics     = ["lead.created"]
  url        = "https://crm.example/"
  rate_limit = "1000/d"        # want "\"/d\" is no unit"
}
