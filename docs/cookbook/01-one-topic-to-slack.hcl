# One topic to Slack
#
# Slack's incoming webhooks take {"text": …}. Their URL is the secret, so it comes
# from the environment. "<", ">" and "&" mean something in Slack's texts: replace()
# makes plain characters of what others wrote.

database {
  url = env("DATABASE_URL")
}

webhook "slack" {
  topics = ["conversation.rating_left"]
  url    = env("SLACK_URL")

  locals {
    remark = coalesce(event.data.rating.remark, "no remark")
    plain  = replace(replace(replace(local.remark, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
  }
  body = {
    text = "${event.data.contact.name} gave ${event.data.rating.rating} of 5: ${local.plain}"
  }
}

test "a rating is told" {
  event {
    aggregate_type = "conversation"
    aggregate_id   = "88012"
    type           = "rating_left"
    payload = {
      conversation = { id = 88012 }
      rating       = { rating = 5, remark = "Quick & kind <3" }
      contact      = { id = 7, name = "Ada", type = "user" }
    }
  }
  expect "slack" {
    topic  = "conversation.rating_left"
    method = "POST"
    url    = env("SLACK_URL")
    body   = { text = "Ada gave 5 of 5: Quick &amp; kind &lt;3" }
  }
}

test "another topic is not" {
  event {
    aggregate_type = "conversation"
    type           = "closed"
  }
  expect_none = ["slack"]
}
