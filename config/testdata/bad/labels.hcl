outbox "main" { # want "Label on \"outbox\" block"
}

webhook { # want "Missing name of \"webhook\" block.*webhook \"crm\" { … }"
  topics = ["lead.created"]
  url    = "https://crm.example/"
}

rule "a" "b" { # want "More than one name"
  topic = "lead.created"
}

topic { # want "Missing name of \"topic\" block"
}

webhook "CRM leads" { # want "Invalid webhook name.*lower-case"
  topics = ["lead.created"]
  url    = "https://crm.example/"
}

rule "Ünïcode" { # want "Invalid rule name"
  topic = "lead.created"
}

topic "Invoice Paid" { # want "Invalid topic name"
}
