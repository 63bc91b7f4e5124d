database {
  url = env("DATABASE_URL")
}

webhook "crm" {
  topics = ["contact.*", "lead.created"]
  url    = env("WEBHOOK_URL")

  sign { secret = env("WEBHOOK_SECRET") }
}
