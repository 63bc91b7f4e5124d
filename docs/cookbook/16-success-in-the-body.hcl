# 200, but not delivered: look into the answer
#
# Some receivers answer 200 to everything and say in the body how it went. What
# success_when does not call true is tried again; what permanent_when calls true is
# given up at once.

database {
  url = env("DATABASE_URL")
}

webhook "segment" {
  topics         = ["contact.tagged"]
  url            = "https://track.example.com/v1/track"
  success_when   = response.status == 200 && response.json.success
  permanent_when = response.json.error.code == "invalid_user"
}

test "it says so" {
  event {
    type    = "tagged"
    payload = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
  response {
    status = 200
    json   = { success = true }
  }
  expect "segment" {
    verdict = "delivered"
  }
}

test "dropped, with status 200" {
  event {
    type    = "tagged"
    payload = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
  response {
    status = 200
    json   = { success = false, error = { code = "busy" } }
  }
  expect "segment" {
    verdict = "retry"
  }
}

test "it never will be" {
  event {
    type    = "tagged"
    payload = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
  response {
    status = 400
    json   = { success = false, error = { code = "invalid_user" } }
  }
  expect "segment" {
    verdict = "rejected"
  }
}
