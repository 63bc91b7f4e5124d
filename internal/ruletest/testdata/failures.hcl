database {
  url = "postgres://localhost/app"
}

rule "vip" {
  when  = event.payload.contact.vip
  topic = "lead.created"
}

webhook "crm" {
  topics  = ["contact.tagged", "lead.created"]
  when    = event.data.contact.custom_properties.plan != "free"
  url     = "https://crm.example.com/contacts?key=${env("KEY")}"
  query   = { page = "a b", token = env("KEY") }
  headers = { X-Source = "walpost", X-Digest = sha256(env("KEY")), Authorization = "Bearer literal" }
  body    = { name = event.data.contact.name, key = "<${env("KEY")}>", n = 1.50, basic = { auth = [base64encode("u:${env("KEY")}")] } }
  success_when = response.json.ok
  capture {
    key   = event.aggregate_id
    value = response.json.id
  }
}

webhook "form" {
  topics = ["contact.untagged"]
  url    = "https://form.example.com"
  form   = { name = event.data.contact.name, key = base64encode("u:${env("KEY")}") }
  auth "basic" {
    username = "u"
    password = env("KEY")
  }
}

webhook "waiting" {
  topics   = ["contact.untagged"]
  url      = "https://waiting.example.com"
  wait_for = captured("crm", event.aggregate_id) != null
}

webhook "off" {
  topics  = ["contact.tagged"]
  url     = "https://off.example.com"
  enabled = false
}

webhook "broken" {
  topics = ["contact.email_updated"]
  url    = "https://broken.example.com/${event.data.email}"
}

webhook "batch" {
  topics = ["meeting.*"]
  url    = "https://batch.example.com"
  body   = [for e in events : e.id]
  batch {
    failed = response.json.failed
  }
}

test "everything differs" {
  event {
    type    = "tagged"
    payload = { contact = { name = "Ada" } }
  }
  response {
    json = { ok = true, id = 7 }
  }
  expect "crm" {
    method  = "PUT"
    url     = "https://crm.example.com/contact"
    query   = { page = "a", token = "other", none = null, more = "x" }
    headers = { x-source = null, x-digest = "other", x-more = "y", authorization = "Bearer other" }
    body    = { name = "Eve", n = 1.5 }
    verdict = "retry"
    capture = { "1" = 8, "2" = 9 }
  }
}

test "the same in other words" {
  event {
    type    = "tagged"
    payload = { contact = { name = "Ada" } }
  }
  expect "crm" {
    body = { n = 15e-1, key = "<the-secret-key>", name = "Ada", basic = { auth = ["dTp0aGUtc2VjcmV0LWtleQ=="] } }
  }
}

test "only a secret differs" {
  event {
    type    = "tagged"
    payload = { contact = { name = "Ada" } }
  }
  expect "crm" {
    headers = { authorization = "Bearer other" }
  }
}

test "when is false" {
  event {
    type    = "tagged"
    payload = { contact = { name = "Ada", custom_properties = { plan = "free" } } }
  }
  expect "crm" {
  }
  expect "off" {
  }
  expect "form" {
  }
}

test "no topic" {
  event {
    aggregate_type = "invoice"
    type           = "paid"
  }
  expect "crm" {
  }
}

test "a rule fails" {
  event {
    type    = "tagged"
    payload = { contact = { name = "Ada", vip = "perhaps" } }
  }
  expect "crm" {
    topic = "contact.tagged"
  }
}

test "a form" {
  event {
    type    = "untagged"
    payload = { contact = { name = "Ada" } }
  }
  expect "form" {
    headers = { authorization = "Basic dTp0aGUtc2VjcmV0LWtleQ==" }
    form    = { name = "Eve", key = "other", more = null }
    body    = { name = "Ada" }
  }
  expect "waiting" {
  }
}

test "waiting is nothing" {
  event {
    type = "untagged"
  }
  expect_none = ["waiting", "form"]
}

test "no request" {
  event {
    type = "email_updated"
  }
  expect "broken" {
  }
}

test "a batch" {
  event {
    id             = "e1"
    aggregate_type = "meeting"
    type           = "scheduled"
  }
  event {
    id             = "e2"
    aggregate_type = "meeting"
    type           = "cancelled"
  }
  response {
    status = 207
    json   = { failed = ["e1"] }
  }
  expect "batch" {
    body    = ["e1"]
    failed  = ["e2"]
    verdict = "delivered"
  }
}
