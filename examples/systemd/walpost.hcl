database {
  url = env("DATABASE_URL")
}

webhook "crm" {
  name   = "Leads for the CRM"
  topics = ["lead.*"]
  url    = "https://crm.example.com/hooks"

  sign {
    secret = env("WEBHOOK_SECRET")
  }
}
