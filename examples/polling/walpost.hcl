database {
  url = env("DATABASE_URL")
}

outbox {
  mode          = "polling"
  poll_interval = "1s" # at the latest; the trigger tells of commits at once
}

webhook "crm" {
  topics = ["contact.tagged"]
  url    = env("WEBHOOK_URL")
}
