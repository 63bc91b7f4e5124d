# alone
database {
  url = { host = "localhost" } # want "Invalid \"url\".*a string, not an object"
}

webhook "crm" {
  topics = ["*"]
  url    = "https://crm.example/"
}
