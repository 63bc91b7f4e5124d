# alone: problems in each file of a folder, all at once
database {
  url = env("NOT_SET") # want "Missing environment variable.*NOT_SET"
}

webhook "crm" {
  topics = ["lead.creatd"] # want "Did you mean \"lead.created\"\?"
  url    = "crm.example"   # want "Invalid URL"
}
