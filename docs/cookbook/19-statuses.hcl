# Statuses that mean something else
#
# Without a word, 2xx is delivered, 410 disables the webhook, and everything else is
# tried again. "success" says which statuses are delivered (here 409, too: the receiver
# has it already), "permanent" which ones are final, "retry_on" which ones are tried again
# whatever else is said.

database {
  url = env("DATABASE_URL")
}

webhook "crm" {
  topics    = ["contact.created"]
  url       = "https://crm.example.com/contacts"
  success   = [200, 201, 204, 409]
  permanent = [400, 422]
  retry_on  = [202]
}

test "there already" {
  event {
    type    = "user.created"
    payload = { contact = { id = 7, type = "user" } }
  }
  response {
    status = 409
  }
  expect "crm" {
    verdict = "delivered"
  }
}

test "never acceptable" {
  event {
    type    = "user.created"
    payload = { contact = { id = 7, type = "user" } }
  }
  response {
    status = 422
  }
  expect "crm" {
    verdict = "rejected"
  }
}

test "not done yet" {
  event {
    type    = "user.created"
    payload = { contact = { id = 7, type = "user" } }
  }
  response {
    status = 202
  }
  expect "crm" {
    verdict = "retry"
  }
}

test "gone" {
  event {
    type    = "user.created"
    payload = { contact = { id = 7, type = "user" } }
  }
  response {
    status = 410
  }
  expect "crm" {
    verdict = "gone"
  }
}
