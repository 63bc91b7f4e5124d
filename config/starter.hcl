# walpost's configuration. "walpost check" checks it; a running walpost takes up
# changes. All *.hcl files of a folder can be one configuration, too. docs/rules.md
# has the whole language.

# The application's database. The user needs the REPLICATION attribute, and
# Postgres wal_level = logical.
database {
  url = env("DATABASE_URL")

  # Where url goes through a pooler, which can't replicate:
  # replication_url = env("DATABASE_DIRECT_URL")
}

# The table that the application inserts its events into.
outbox {
  table       = "public.outbox"
  slot        = "walpost"
  publication = "walpost"

  # The first start delivers what is committed from "walpost init" on. To begin with
  # the rows that are in the table already:
  # start = "backlog"

  # With this, walpost deletes rows a day after they are resolved; until then a lost
  # slot can be recovered from them. Without it, or with "never", all rows stay.
  retention = "24h"

  # To adopt an existing outbox, name its columns:
  # columns {
  #   aggregate_type = "aggregatetype"
  #   event_type     = "type"
  # }
}

# The 27 topics of the built-in pack, such as lead.created and contact.tagged
# ("walpost rules gist" lists them). "none": only the topics that you declare.
rules = "gist"

# A topic of your own. Rows whose event_type is "invoice.paid", or whose
# aggregate_type is "invoice" and event_type "paid", get it.
# topic "invoice.paid" {
#   title       = "Invoice paid"
#   description = "An invoice is paid"
# }

# A rule gives a topic to rows that need a closer look, and shapes their data.
# rule "vip_lead" {
#   when  = event.type == "created" && event.payload.contact.plan == "vip"
#   topic = "lead.created"
#   data  = { contact = event.payload.contact }
# }

# Where to send what.
webhook "example" {
  name   = "Everything about contacts"
  topics = ["contact.*", "lead.created"]
  url    = "https://example.com/hooks"

  # Nothing is sent until you switch it on.
  enabled = false

  # More that a webhook can have:
  # when    = event.data.contact.email != null
  # method  = "PUT"
  # url     = "https://example.com/contacts/${urlencode(event.aggregate_id)}"
  # query   = { source = "walpost" }
  # headers = { Authorization = "Bearer ${env("EXAMPLE_TOKEN")}" }
  # body    = { email = event.data.contact.email }
  # timeout = "10s"
  # retry   = ["5m", "1h", "3h"]

  # Signed after Standard Webhooks, so that the receiver knows it is you:
  # sign {
  #   secret = env("EXAMPLE_SECRET")
  # }
}

# Health, status and reload over HTTP.
# admin {
#   listen = "127.0.0.1:8710"
#   token  = env("WALPOST_ADMIN_TOKEN")
# }

# What becomes of an event once the webhook is enabled. "walpost test" tries it, and
# sends nothing.
# test "the webhook gets tagged contacts" {
#   event {
#     type    = "contact.tagged"
#     payload = { contact = { email = "ada@example.com" }, tag = { name = "vip" } }
#   }
#   expect "example" {
#     topic = "contact.tagged"
#   }
# }
