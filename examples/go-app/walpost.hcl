database {
  url = env("DATABASE_URL")
}

webhook "app" {
  topics = ["lead.created", "contact.tagged"]
  url    = "http://127.0.0.1:9000/webhooks"

  sign {
    secret = env("WEBHOOK_SECRET")
  }
}
