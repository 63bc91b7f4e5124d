# Only some contacts: filter by plan
#
# A webhook's "when" decides for each event. A path that isn't there is null, and null
# is not in the list: contacts without a plan are left out, and nothing fails.

database {
  url = env("DATABASE_URL")
}

webhook "success_team" {
  topics = ["contact.tagged", "contact.event_performed"]
  when   = contains(["pro", "enterprise"], coalesce(event.data.contact.custom_properties.plan, "none"))
  url    = "https://success.example.com/hooks"
}

test "pro customers" {
  event {
    type    = "tagged"
    payload = { contact = { id = 7, type = "user", custom_properties = { plan = "pro" } }, tag = { name = "at risk" } }
  }
  expect "success_team" {
    topic = "contact.tagged"
  }
}

test "not the free ones" {
  event {
    type    = "tagged"
    payload = { contact = { id = 8, type = "user", custom_properties = { plan = "free" } }, tag = { name = "at risk" } }
  }
  expect_none = ["success_team"]
}

test "nor those without a plan" {
  event {
    type    = "tagged"
    payload = { contact = { id = 9, type = "lead" }, tag = { name = "at risk" } }
  }
  expect_none = ["success_team"]
}
