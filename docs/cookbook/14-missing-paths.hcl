# What isn't there: null, coalesce, try, can
#
# A path that leads nowhere is null, at any depth. coalesce() gives the first that is
# neither null nor empty; try() the first that doesn't fail, as tonumber() may; can()
# says whether something works.

database {
  url = env("DATABASE_URL")
}

webhook "crm" {
  topics = ["contact.form_submitted"]
  when   = event.data.submission.fields.company != null
  url    = "https://crm.example.com/forms"
  body = {
    company = event.data.submission.fields.company
    name    = coalesce(event.data.submission.fields.name, event.data.contact.name, "somebody")
    seats   = try(tonumber(event.data.submission.fields.seats), 1)
    utm     = event.data.submission.fields.utm.source
    valid   = can(regex("^[^@]+@[^@]+$", event.data.contact.email))
  }
}

test "half of it is missing" {
  event {
    type = "form_submitted"
    payload = {
      contact    = { id = 7, type = "lead", name = "Grace" }
      form       = { id = 12 }
      submission = { fields = { company = "Navy", seats = "many" } }
    }
  }
  expect "crm" {
    body = { company = "Navy", name = "Grace", seats = 1, utm = null, valid = false }
  }
}

test "all is there" {
  event {
    type = "form_submitted"
    payload = {
      contact    = { id = 7, type = "lead", email = "grace@example.com" }
      form       = { id = 12 }
      submission = { fields = { company = "Navy", name = "G. Hopper", seats = "12", utm = { source = "ads" } } }
    }
  }
  expect "crm" {
    body = { company = "Navy", name = "G. Hopper", seats = 12, utm = "ads", valid = true }
  }
}

test "no company" {
  event {
    type    = "form_submitted"
    payload = { contact = { id = 7, type = "lead" }, form = { id = 12 }, submission = {} }
  }
  expect_none = ["crm"]
}
