# An ordinary walpost.hcl: all that walpost needs to know.

database {
  url = env("DATABASE_URL")
}

rules = "gist" # the built-in pack of 27 topics

# Every topic, signed. This endpoint answers at once.
webhook "everything" {
  topics = ["*"]
  url    = "${env("RECEIVER_URL")}/everything"

  sign {
    secret = env("WEBHOOK_SECRET")
  }
}

# Leads, in a CRM's own words, signed.
webhook "crm" {
  name    = "Leads for the CRM"
  topics  = ["lead.*"]
  url     = "${env("RECEIVER_URL")}/crm"
  headers = { X-Source = "walpost demo" }

  body = {
    LastName = event.data.contact.name
    Email    = event.data.contact.email
    Company  = event.data.contact.custom_properties.company
    Reason   = event.topic
  }

  sign {
    secret = env("WEBHOOK_SECRET")
  }
}

# This endpoint takes a second to answer. No other webhook waits for it.
webhook "slow" {
  topics = ["conversation.*"]
  url    = "${env("RECEIVER_URL")}/slow"
}

# This endpoint answers 500 at first, so walpost tries again: here after 2 s,
# 4 s and 8 s so that you can watch it; by default after 5 min, 1 h and 3 h.
webhook "flaky" {
  topics = ["contact.tagged", "contact.untagged", "contact.*_updated"]
  url    = "${env("RECEIVER_URL")}/flaky"
  retry  = ["2s", "4s", "8s"] # default: ["5m", "1h", "3h"]
}

# This endpoint answers 410 Gone, which disables the webhook for good: what it
# would have got is parked in the ledger until somebody enables it again.
webhook "gone" {
  topics = ["meeting.*"]
  url    = "${env("RECEIVER_URL")}/gone"
}
