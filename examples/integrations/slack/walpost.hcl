# A channel hears of new leads and of bad ratings.

database {
  url = env("DATABASE_URL")
}

locals {
  # What an event is about, with the three characters escaped that have a meaning in Slack's texts.
  who = replace(replace(replace(coalesce(
    try(event.data.contact.name, null), try(event.data.contact.email, null), "Somebody"
  ), "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
}

webhook "slack" {
  name   = "Slack"
  topics = ["lead.created", "conversation.rating_left"]
  when   = event.topic == "lead.created" || try(event.data.rating.rating <= 2, false)

  # The URL of an incoming webhook, which is a secret.
  url = env("SLACK_WEBHOOK_URL")

  body = {
    text = event.topic == "lead.created" ? ":wave: New lead: *${local.who}*" : ":warning: *${local.who}* has rated a conversation ${event.data.rating.rating} of 5."
  }

  # Slack takes about one message a second. What it doesn't take now, it does later (429, 5xx);
  # a channel that is archived (410) disables the webhook until "walpost enable slack".
  concurrency  = 1
  success_when = response.status == 200 && response.body == "ok"
  permanent    = [400, 403, 404]
}

test "a lead" {
  event {
    aggregate_type = "contact"
    type           = "lead.created"
    payload        = { contact = { id = 7, type = "lead", name = "Ada & <Charles>" } }
  }
  response {
    status = 200
    body   = "ok"
  }
  expect "slack" {
    method  = "POST"
    body    = { text = ":wave: New lead: *Ada &amp; &lt;Charles&gt;*" }
    verdict = "delivered"
  }
}

test "a bad rating" {
  event {
    aggregate_type = "conversation"
    type           = "conversation.rating_left"
    payload        = { conversation = { id = 42 }, rating = { rating = 1 }, contact = { id = 7, type = "lead", name = null, email = "ada@example.com" } }
  }
  response {
    status = 404
    body   = "channel_not_found"
  }
  expect "slack" {
    body    = { text = ":warning: *ada@example.com* has rated a conversation 1 of 5." }
    verdict = "rejected"
  }
}

test "a good rating is no news" {
  event {
    aggregate_type = "conversation"
    type           = "conversation.rating_left"
    payload        = { conversation = { id = 42 }, rating = { rating = 5 } }
  }
  expect_none = ["slack"]
}
