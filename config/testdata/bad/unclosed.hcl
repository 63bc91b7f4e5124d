webhook "crm" {
  topics = ["lead.created"
  url    = "https://crm.example/leads" # want "Missing item separator"
}
