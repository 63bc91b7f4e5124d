# Who subscribes to a campaign in the application is subscribed in Mailchimp, and the other way round.

database {
  url = env("DATABASE_URL")
}

locals {
  # The data centre is what follows the dash in the API key, such as us21.
  mailchimp = env("MAILCHIMP_URL", "https://${split("-", env("MAILCHIMP_API_KEY"))[1]}.api.mailchimp.com/3.0")
}

webhook "mailchimp_members" {
  name   = "Mailchimp members"
  topics = ["contact.campaign_subscribed", "contact.campaign_unsubscribed", "contact.unsubscribed_from_emails"]
  when   = coalesce(event.data.contact.email) != null # nor empty

  locals {
    contact = event.data.contact
    hash    = md5(lower(local.contact.email)) # Mailchimp's id of a member

    # What the event says, and what the newest delivered event of this address said. A retry that comes
    # after a newer event repeats what that one said: nobody who has unsubscribed is subscribed again.
    said = {
      status = event.topic == "contact.campaign_subscribed" ? "subscribed" : "unsubscribed"
      at     = coalesce(event.data.subscription.changed_at, unixtime(event.created_at))
    }
    known  = captured("mailchimp_members", local.hash)
    newest = try(local.known.at > local.said.at, false) ? local.known : local.said
  }

  # An upsert: whatever is sent twice is one member.
  method = "PUT"
  url    = "${local.mailchimp}/lists/${env("MAILCHIMP_LIST_ID")}/members/${local.hash}"
  query  = { skip_merge_validation = "true" }

  auth "basic" {
    username = "walpost" # any
    password = env("MAILCHIMP_API_KEY")
  }

  body = {
    email_address = local.contact.email
    status        = local.newest.status
    status_if_new = local.newest.status
    merge_fields = { for name, value in {
      FNAME = try(regex("^\\S+", local.contact.name), null)
      LNAME = try(regex("\\s+(\\S.*)$", local.contact.name)[0], null)
    } : name => value if value != null }
  }

  capture {
    key   = local.hash
    value = local.newest
  }

  # Mailchimp handles ten requests of a key at a time. One more gets a 429, or a 403 without JSON.
  concurrency = 10
  success     = [200]

  # A 400 is final: whatever is wrong with the address stays wrong, and who has unsubscribed at
  # Mailchimp ("Member In Compliance State") has to sign up there again.
  permanent      = [400, 401, 404, 405]
  permanent_when = response.status == 403 && response.json != null
}

test "a subscription" {
  event {
    aggregate_type = "contact"
    aggregate_id   = "7"
    type           = "contact.campaign_subscribed"
    payload = {
      contact      = { id = 7, type = "user", name = "Ada King Lovelace", email = "Ada@Example.com" }
      campaign     = { id = 3, name = "Newsletter" }
      subscription = { status = "subscribed", changed_at = 1700000000 }
    }
  }
  response {
    status = 200
    json   = { id = "9b9d93cd2d6ea5c0b9f9e3d5a5ad0d1d", status = "subscribed" }
  }
  expect "mailchimp_members" {
    method = "PUT"
    url    = "${local.mailchimp}/lists/${env("MAILCHIMP_LIST_ID")}/members/${md5("ada@example.com")}"
    query  = { skip_merge_validation = "true" }
    body = {
      email_address = "Ada@Example.com", status = "subscribed", status_if_new = "subscribed"
      merge_fields  = { FNAME = "Ada", LNAME = "King Lovelace" }
    }
    verdict = "delivered"
    capture = { (md5("ada@example.com")) = { status = "subscribed", at = 1700000000 } }
  }
}

test "the end of a subscription" {
  event {
    aggregate_type = "contact"
    type           = "contact.campaign_unsubscribed"
    payload = {
      contact      = { id = 7, type = "user", email = "ada@example.com" }
      campaign     = { id = 3, name = "Newsletter" }
      subscription = { status = "unsubscribed", changed_at = 1700000100 }
    }
  }
  expect "mailchimp_members" {
    body = { email_address = "ada@example.com", status = "unsubscribed", status_if_new = "unsubscribed", merge_fields = {} }
  }
}

test "a retry says what a newer event has said" {
  event {
    aggregate_type = "contact"
    type           = "contact.campaign_subscribed"
    payload = {
      contact      = { id = 7, type = "user", email = "ada@example.com" }
      campaign     = { id = 3, name = "Newsletter" }
      subscription = { status = "subscribed", changed_at = 1700000000 }
    }
  }
  captured = { mailchimp_members = { (md5("ada@example.com")) = { status = "unsubscribed", at = 1700000100 } } }
  expect "mailchimp_members" {
    body = { email_address = "ada@example.com", status = "unsubscribed", status_if_new = "unsubscribed", merge_fields = {} }
  }
}

test "who has unsubscribed at Mailchimp has to sign up there" {
  event {
    aggregate_type = "contact"
    type           = "contact.campaign_subscribed"
    payload        = { contact = { id = 7, type = "user", email = "ada@example.com" } }
  }
  response {
    status = 400
    json   = { title = "Member In Compliance State", status = 400, detail = "The address has to sign up itself.", type = "about:blank", instance = "1" }
  }
  expect "mailchimp_members" {
    verdict = "rejected"
  }
}

test "an address that Mailchimp doesn't take is final" {
  event {
    aggregate_type = "contact"
    type           = "contact.campaign_subscribed"
    payload        = { contact = { id = 7, type = "user", email = "ada@example" } }
  }
  response {
    status = 400
    json   = { title = "Invalid Resource", status = 400, detail = "Please provide a valid email address.", type = "about:blank", instance = "1" }
  }
  expect "mailchimp_members" {
    verdict = "rejected"
  }
}

test "too many requests at once: a 403 without JSON" {
  event {
    aggregate_type = "contact"
    type           = "contact.campaign_subscribed"
    payload        = { contact = { id = 7, type = "user", email = "ada@example.com" } }
  }
  response {
    status = 403
    body   = "<html>Access denied</html>"
  }
  expect "mailchimp_members" {
    verdict = "retry"
  }
}

test "a key that may not is final: a 403 with JSON" {
  event {
    aggregate_type = "contact"
    type           = "contact.campaign_subscribed"
    payload        = { contact = { id = 7, type = "user", email = "ada@example.com" } }
  }
  response {
    status = 403
    json   = { title = "Forbidden", status = 403, detail = "You don't have access.", type = "about:blank", instance = "1" }
  }
  expect "mailchimp_members" {
    verdict = "rejected"
  }
}
