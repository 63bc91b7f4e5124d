# New users of the application become contacts in HubSpot, where a workflow onboards them.

database {
  url = env("DATABASE_URL")
}

locals {
  hubspot = env("HUBSPOT_URL", "https://api.hubapi.com")
}

webhook "hubspot_contacts" {
  name   = "HubSpot contacts"
  topics = ["user.created"]
  when   = coalesce(event.data.contact.email) != null # nor empty

  locals {
    # HubSpot refuses a batch that has an email twice: the last event of each email counts.
    users = [for same in values({ for e in events : lower(e.data.contact.email) => e... }) : reverse(same)[0]]
  }

  # An upsert by email: whatever is sent twice is one contact.
  url = "${local.hubspot}/crm/v3/objects/contacts/batch/upsert"

  auth "bearer" {
    token = env("HUBSPOT_TOKEN")
  }

  batch {
    max  = 100 # HubSpot's limit
    wait = "1s"

    # A 207 has taken some of the contacts, and names those that it hasn't by their objectWriteTraceId.
    failed = flatten([for e in try(response.json.errors, []) : try(e.context.objectWriteTraceId, [])])
  }

  # Every value is a string. What an event doesn't have is left out: "" would clear it.
  body = {
    inputs = [for e in local.users : {
      id                 = lower(e.data.contact.email)
      idProperty         = "email"
      objectWriteTraceId = e.id
      properties = { for name, value in {
        email             = lower(e.data.contact.email)
        firstname         = try(regex("^\\S+", e.data.contact.name), null)
        lastname          = try(regex("\\s+(\\S.*)$", e.data.contact.name)[0], null)
        gist_id           = tostring(e.data.contact.id)
        gist_signed_up_at = try(tostring(e.data.contact.signed_up_at * 1000), null) # milliseconds
        gist_onboarding   = "started"
      } : name => value if value != null }
    }]
  }

  success = [200, 207]

  # Such a request can't become right by itself. A missing or expired token (401) can.
  permanent = [400, 403]

  # A 429 is about the last ten seconds, or about the day.
  concurrency = 4
  retry       = ["1m", "10m", "1h", "6h", "24h"]
}

test "a new user starts the onboarding" {
  event {
    id             = "0192f5c0-0000-7000-8000-000000000001"
    aggregate_type = "contact"
    aggregate_id   = "100488"
    type           = "user.created"
    payload = {
      contact = {
        id           = 100488, type = "user", user_id = "u-1", name = "Ada King Lovelace", email = "Ada@example.com"
        signed_up_at = 1700000000
      }
    }
  }
  response {
    status = 200
    json   = { status = "COMPLETE", results = [{ id = "1", new = true }] }
  }
  expect "hubspot_contacts" {
    method = "POST"
    url    = "${local.hubspot}/crm/v3/objects/contacts/batch/upsert"
    body = { inputs = [{
      id                 = "ada@example.com"
      idProperty         = "email"
      objectWriteTraceId = "0192f5c0-0000-7000-8000-000000000001"
      properties = {
        email             = "ada@example.com", firstname = "Ada", lastname = "King Lovelace", gist_id = "100488"
        gist_signed_up_at = "1700000000000", gist_onboarding = "started"
      }
    }] }
    verdict = "delivered"
  }
}

test "the contact that a 207 has not taken is tried again" {
  event {
    id      = "0192f5c0-0000-7000-8000-000000000001"
    type    = "user.created"
    payload = { contact = { id = 1, type = "user", email = "ada@example.com", name = "Ada" } }
  }
  event {
    id      = "0192f5c0-0000-7000-8000-000000000002"
    type    = "user.created"
    payload = { contact = { id = 2, type = "user", email = "nobody", name = null } }
  }
  response {
    status = 207
    json = {
      status    = "COMPLETE", results = [{ id = "1", new = true }]
      numErrors = 1
      errors = [{
        status  = "error", category = "VALIDATION_ERROR", message = "Email address nobody is invalid"
        context = { objectWriteTraceId = ["0192f5c0-0000-7000-8000-000000000002"] }
      }]
    }
  }
  expect "hubspot_contacts" {
    body = { inputs = [
      {
        id         = "ada@example.com", idProperty = "email", objectWriteTraceId = "0192f5c0-0000-7000-8000-000000000001"
        properties = { email = "ada@example.com", firstname = "Ada", gist_id = "1", gist_onboarding = "started" }
      },
      {
        id         = "nobody", idProperty = "email", objectWriteTraceId = "0192f5c0-0000-7000-8000-000000000002"
        properties = { email = "nobody", gist_id = "2", gist_onboarding = "started" }
      },
    ] }
    verdict = "delivered"
    failed  = ["0192f5c0-0000-7000-8000-000000000002"]
  }
}

test "an email that is there twice is sent once" {
  event {
    id      = "0192f5c0-0000-7000-8000-000000000001"
    type    = "user.created"
    payload = { contact = { id = 1, type = "user", email = "ada@example.com", name = "Ada" } }
  }
  event {
    id      = "0192f5c0-0000-7000-8000-000000000002"
    type    = "user.created"
    payload = { contact = { id = 1, type = "user", email = "ADA@example.com", name = "Ada Lovelace" } }
  }
  expect "hubspot_contacts" {
    body = { inputs = [{
      id         = "ada@example.com", idProperty = "email", objectWriteTraceId = "0192f5c0-0000-7000-8000-000000000002"
      properties = { email = "ada@example.com", firstname = "Ada", lastname = "Lovelace", gist_id = "1", gist_onboarding = "started" }
    }] }
  }
}

test "too many requests are tried again" {
  event {
    type    = "user.created"
    payload = { contact = { id = 1, type = "user", email = "ada@example.com" } }
  }
  response {
    status = 429
    json   = { status = "error", message = "You have reached your ten_secondly_rolling limit.", errorType = "RATE_LIMIT", policyName = "TEN_SECONDLY_ROLLING" }
  }
  expect "hubspot_contacts" {
    verdict = "retry"
  }
}

test "a property that HubSpot doesn't know is final" {
  event {
    type    = "user.created"
    payload = { contact = { id = 1, type = "user", email = "ada@example.com" } }
  }
  response {
    status = 400
    json   = { status = "error", category = "VALIDATION_ERROR", correlationId = "1", message = "Property \"gist_onboarding\" does not exist" }
  }
  expect "hubspot_contacts" {
    verdict = "rejected"
  }
}

test "without an email there is no contact" {
  event {
    type    = "user.created"
    payload = { contact = { id = 1, type = "user", name = "Ada" } }
  }
  expect_none = ["hubspot_contacts"]
}
