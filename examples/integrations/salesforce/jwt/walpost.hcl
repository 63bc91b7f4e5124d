# The same as ../walpost.hcl, for an app that signs in with a certificate: there is no secret that Salesforce knows.

database {
  url = env("DATABASE_URL")
}

locals {
  # Your My Domain, such as https://acme.my.salesforce.com
  salesforce = env("SALESFORCE_URL")

  # https://test.salesforce.com for a sandbox.
  login = env("SALESFORCE_LOGIN_URL", "https://login.salesforce.com")

  # Custom properties of a contact, and the fields of Lead that they go into.
  fields = {
    plan  = "Gist_Plan__c"
    seats = "Gist_Seats__c"
  }
}

webhook "salesforce_leads" {
  name   = "Salesforce leads"
  topics = ["lead.created"]

  locals {
    contact = event.data.contact
    words   = compact(split(" ", coalesce(local.contact.name, local.contact.full_name, local.contact.email, "Unknown")))
    company = try(tostring(local.contact.custom_properties.company), null)
    custom  = { for property, field in local.fields : field => try(local.contact.custom_properties[property], null) }
  }

  # An upsert by the external id field: whatever is sent twice is one lead.
  method = "PATCH"
  url    = "${local.salesforce}/services/data/v62.0/sobjects/Lead/Gist_Id__c/${urlencode(local.contact.id)}"

  auth "jwt_bearer" {
    token_url   = "${local.login}/services/oauth2/token"
    issuer      = env("SALESFORCE_CONSUMER_KEY")
    subject     = env("SALESFORCE_USERNAME")
    audience    = local.login
    private_key = env("SALESFORCE_PRIVATE_KEY") # PEM
  }

  # What the event doesn't have is left out, not cleared: null would empty the field.
  body = {
    for name, value in merge(local.custom, {
      LastName   = substr(try(reverse(local.words)[0], "Unknown"), 0, 80)
      FirstName  = length(local.words) > 1 ? substr(join(" ", slice(local.words, 0, length(local.words) - 1)), 0, 40) : null
      Company    = substr(coalesce(local.company, "[not provided]"), 0, 255)
      Email      = try(length(local.contact.email) <= 80, false) ? local.contact.email : null
      Phone      = try(substr(tostring(local.contact.phone), 0, 40), null)
      LeadSource = substr(coalesce(local.contact.source, "Gist"), 0, 255)
    }) : name => value if can(tostring(value)) && value != null
  }

  success = [200, 201, 204]

  # 300: several leads have this external id. 404: there is no such field or object.
  permanent = [300, 404, 405, 415]

  # A 400 is final, except that another process had the record locked for the moment.
  permanent_when = response.status == 400 && try(response.json[0].errorCode, "") != "UNABLE_TO_LOCK_ROW"

  # A 403 is tried again: REQUEST_LIMIT_EXCEEDED holds until calls of the last 24 hours are forgotten.
  retry = ["5m", "1h", "3h", "8h", "16h"]
}

test "a lead is created" {
  event {
    aggregate_type = "contact"
    aggregate_id   = "146179"
    type           = "lead.created"
    payload = {
      contact = {
        id                = 146179, type = "lead", name = "Ada King Lovelace", email = "ada@example.com", source = "Pricing page"
        custom_properties = { company = "Analytical Engines", plan = "pro" }
      }
    }
  }
  response {
    status = 201
    json   = { id = "00Q5e00000AAAAA", success = true, errors = [], created = true }
  }
  expect "salesforce_leads" {
    topic  = "lead.created"
    method = "PATCH"
    url    = "${local.salesforce}/services/data/v62.0/sobjects/Lead/Gist_Id__c/146179"
    body = {
      LastName   = "Lovelace", FirstName = "Ada King", Company = "Analytical Engines", Email = "ada@example.com"
      LeadSource = "Pricing page", Gist_Plan__c = "pro"
    }
    verdict = "delivered"
  }
}

test "the daily limit is waited for" {
  event {
    aggregate_type = "contact"
    type           = "lead.created"
    payload        = { contact = { id = 7, type = "lead", name = "Ada" } }
  }
  response {
    status = 403
    json   = [{ message = "TotalRequests Limit exceeded.", errorCode = "REQUEST_LIMIT_EXCEEDED" }]
  }
  expect "salesforce_leads" {
    verdict = "retry"
  }
}
