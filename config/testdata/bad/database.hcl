# alone
database { # want "Missing argument \"url\".*env\(\"DATABASE_URL\"\)"
  replication_url = "localhost:5432" # want "Invalid \"replication_url\".*postgres://"
}

webhook "crm" {
  topics = ["*"]
  url    = "https://crm.example/"
}
