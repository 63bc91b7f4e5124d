rules = "gist"

topic "invoice.paid" {}

topic "invoice.paid" {} # want "Duplicate topic \"invoice.paid\".*duplicates.hcl:3"

topic "contact.tagged" {} # want "Duplicate topic.*built-in pack.*gist.hcl"

webhook "base" { # want "Duplicate webhook \"base\".*base.hcl:6"
  topics = ["lead.created"]
  url    = "https://crm.example/"

  sign {
    secret = env("CRM_SECRET")
  }
  sign { # want "Duplicate \"sign\" block.*duplicates.hcl:13"
    secret = env("CRM_SECRET")
  }
}

rule "vip" {
  topic = "lead.created"
}

rule "vip" { # want "Duplicate rule \"vip\""
  topic = "lead.created"
}

database { # want "Duplicate \"database\" block"
  url   = env("DATABASE_URL")
  extra = 1 # want "Unsupported argument \"extra\""
}
