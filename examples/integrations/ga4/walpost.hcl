# Page visits that the application has seen become page views in Google Analytics.

database {
  url = env("DATABASE_URL")
}

locals {
  # https://region1.google-analytics.com keeps the data in the EU while it is collected.
  # With https://www.google-analytics.com/debug events are validated, and nothing is stored.
  ga4 = env("GA4_URL", "https://www.google-analytics.com")

  visit = event.data.page_visit
  at    = coalesce(local.visit.visited_at, unixtime(event.created_at)) # Unix seconds
}

webhook "ga4_page_views" {
  name   = "Google Analytics page views"
  topics = ["contact.page_visited"]

  # Google drops what is older than 72 hours, without a word. Nothing is sent later than five hours after the event.
  when   = local.at > unixtime(event.committed_at) - (72 - 5) * 3600
  expire = "5h"

  url = "${local.ga4}/mp/collect"

  # The secret is part of the query. walpost shows no query anywhere.
  query = {
    measurement_id = env("GA4_MEASUREMENT_ID")
    api_secret     = env("GA4_API_SECRET")
  }

  # All events of a request are of one client, so that there is a request for each visit: see the README.
  body = merge(
    {
      client_id        = coalesce(try(tostring(event.data.contact.custom_properties.ga_client_id), null), "gist.${event.data.contact.id}")
      timestamp_micros = local.at * 1000000
      events = [{
        name = "page_view"
        params = { for name, value in {
          page_location        = substr(local.visit.url, 0, 1000)
          page_title           = try(substr(local.visit.title, 0, 300), null)
          page_referrer        = try(substr(local.visit.referrer, 0, 420), null)
          session_id           = tostring(floor(local.at / 1800)) # a session for each half-hour
          engagement_time_msec = 100                              # without it no active users are counted
        } : name => value if value != null }
      }]
    },
    event.data.contact.user_id == null ? null : { user_id = tostring(event.data.contact.user_id) }
  )

  # There is no error for a bad event, only from the debug URL.
  success_when = contains([200, 204], response.status) && try(length(response.json.validationMessages), 0) == 0
}

test "a visit becomes a page view" {
  event {
    aggregate_type = "contact"
    aggregate_id   = "100488"
    type           = "contact.page_visited"
    created_at     = "2023-11-14T22:13:21Z"
    payload = {
      contact    = { id = 100488, type = "user", user_id = "u-1", name = "Ada", email = "ada@example.com" }
      page_visit = { url = "https://example.com/pricing", title = "Pricing", referrer = null, visited_at = 1700000000 }
    }
  }
  response {
    status = 204
  }
  expect "ga4_page_views" {
    method = "POST"
    url    = "${local.ga4}/mp/collect"
    body = {
      client_id        = "gist.100488", user_id = "u-1"
      timestamp_micros = 1700000000000000
      events = [{
        name = "page_view"
        params = {
          page_location = "https://example.com/pricing", page_title = "Pricing"
          session_id    = "944444", engagement_time_msec = 100
        }
      }]
    }
    verdict = "delivered"
  }
}

test "the client id of Google's own cookie is used where it is known" {
  event {
    aggregate_type = "contact"
    type           = "contact.page_visited"
    created_at     = "2023-11-14T22:13:20Z"
    payload = {
      contact    = { id = 7, type = "lead", custom_properties = { ga_client_id = "123456.7654321" } }
      page_visit = { url = "https://example.com/", visited_at = 1700000000 }
    }
  }
  expect "ga4_page_views" {
    body = {
      client_id        = "123456.7654321"
      timestamp_micros = 1700000000000000
      events           = [{ name = "page_view", params = { page_location = "https://example.com/", session_id = "944444", engagement_time_msec = 100 } }]
    }
  }
}

test "a visit of the day before yesterday is not too old" {
  event {
    aggregate_type = "contact"
    type           = "contact.page_visited"
    created_at     = "2023-11-17T17:00:00Z"
    payload = {
      contact    = { id = 7, type = "lead" }
      page_visit = { url = "https://example.com/", visited_at = 1700000000 }
    }
  }
  expect "ga4_page_views" {
    method = "POST"
  }
}

test "a visit that would be older than 72 hours is not sent" {
  event {
    aggregate_type = "contact"
    type           = "contact.page_visited"
    created_at     = "2023-11-17T17:30:00Z"
    payload = {
      contact    = { id = 7, type = "lead" }
      page_visit = { url = "https://example.com/", visited_at = 1700000000 }
    }
  }
  expect_none = ["ga4_page_views"]
}

test "what the debug URL finds wrong is no delivery" {
  event {
    aggregate_type = "contact"
    type           = "contact.page_visited"
    created_at     = "2023-11-14T22:13:20Z"
    payload = {
      contact    = { id = 7, type = "lead" }
      page_visit = { url = "https://example.com/", visited_at = 1700000000 }
    }
  }
  response {
    status = 200
    json   = { validationMessages = [{ fieldPath = "events", description = "The name is reserved.", validationCode = "NAME_RESERVED" }] }
  }
  expect "ga4_page_views" {
    verdict = "retry"
  }
}

test "Google is down" {
  event {
    aggregate_type = "contact"
    type           = "contact.page_visited"
    created_at     = "2023-11-14T22:13:20Z"
    payload = {
      contact    = { id = 7, type = "lead" }
      page_visit = { url = "https://example.com/", visited_at = 1700000000 }
    }
  }
  response {
    status = 500
  }
  expect "ga4_page_views" {
    verdict = "retry"
  }
}
