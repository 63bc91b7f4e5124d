outbox {
  tabel     = "outbox" # want "Unsupported argument \"tabel\".*Did you mean \"table\"\?"
  columns   = {}       # want "\"columns\" is a block.*columns { … }"
  retenshun = 1        # want "There are: max_payload, messages, mode, poll_interval, publication, retention, slot, start, table"
  column {             # want "Unsupported block \"column\".*Did you mean \"columns\"\?"
  }
}

webhook "crm" {
  topic   = ["lead.created"] # want "Did you mean \"topics\"\?"
  topics  = ["lead.created"]
  url     = "https://crm.example/"
  headers { # want "\"headers\" is an argument"
    X-Source = "walpost"
  }
  sign = { secret = env("CRM_SECRET") } # want "\"sign\" is a block"
}

ledger {
  file { # want "Unsupported block \"file\""
  }
}
