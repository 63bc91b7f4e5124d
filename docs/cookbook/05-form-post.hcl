# A form, as browsers send it
#
# "form" makes an application/x-www-form-urlencoded body. A field that is null is left
# out.

database {
  url = env("DATABASE_URL")
}

webhook "newsletter" {
  topics = ["contact.campaign_subscribed"]
  url    = "https://news.example.com/subscribe"
  form = {
    EMAIL = event.data.contact.email
    NAME  = event.data.contact.name
    LIST  = event.data.campaign.id
  }
}

test "a subscription" {
  event {
    type    = "campaign_subscribed"
    payload = { contact = { id = 7, type = "user", email = "ada+news@example.com" }, campaign = { id = 55, name = "Monthly" } }
  }
  expect "newsletter" {
    method  = "POST"
    headers = { content-type = "application/x-www-form-urlencoded" }
    form    = { EMAIL = "ada+news@example.com", NAME = null, LIST = "55" }
  }
}
