webhook "crm" { # want "Duplicate webhook \"crm\".*10-first.hcl:6"
  topics = ["*"]
  url    = "https://crm.example/"
}

admin {
  listen = "nowhere" # want "Invalid \"listen\""
}
