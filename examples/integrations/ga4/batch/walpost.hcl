# The same page views, 25 in a request. All events of a request are of one client, so that this counts views,
# and no visitors: for a data stream of its own.

database {
  url = env("DATABASE_URL")
}

locals {
  ga4 = env("GA4_URL", "https://www.google-analytics.com")
}

webhook "ga4_page_views" {
  name   = "Google Analytics page views"
  topics = ["contact.page_visited"]
  when   = coalesce(event.data.page_visit.visited_at, unixtime(event.created_at)) > unixtime(event.committed_at) - (72 - 5) * 3600
  expire = "5h"

  url = "${local.ga4}/mp/collect"
  query = {
    measurement_id = env("GA4_MEASUREMENT_ID")
    api_secret     = env("GA4_API_SECRET")
  }

  batch {
    max  = 25 # Google's limit
    wait = "1s"
  }

  body = {
    client_id = "walpost"
    events = [for e in events : {
      name             = "page_view"
      timestamp_micros = coalesce(e.data.page_visit.visited_at, unixtime(e.created_at)) * 1000000
      params = { for name, value in {
        page_location = substr(e.data.page_visit.url, 0, 1000)
        page_title    = try(substr(e.data.page_visit.title, 0, 300), null)
        page_referrer = try(substr(e.data.page_visit.referrer, 0, 420), null)
        contact_type  = e.data.contact.type
      } : name => value if value != null }
    }]
  }

  success_when = contains([200, 204], response.status) && try(length(response.json.validationMessages), 0) == 0
}

test "visits go together" {
  event {
    aggregate_type = "contact"
    type           = "contact.page_visited"
    created_at     = "2023-11-14T22:13:21Z"
    payload = {
      contact    = { id = 7, type = "lead" }
      page_visit = { url = "https://example.com/", title = "Home", visited_at = 1700000000 }
    }
  }
  event {
    aggregate_type = "contact"
    type           = "contact.page_visited"
    created_at     = "2023-11-14T22:13:22Z"
    payload = {
      contact    = { id = 8, type = "user" }
      page_visit = { url = "https://example.com/pricing", visited_at = 1700000001 }
    }
  }
  response {
    status = 204
  }
  expect "ga4_page_views" {
    body = {
      client_id = "walpost"
      events = [
        {
          name   = "page_view", timestamp_micros = 1700000000000000
          params = { page_location = "https://example.com/", page_title = "Home", contact_type = "lead" }
        },
        {
          name   = "page_view", timestamp_micros = 1700000001000000
          params = { page_location = "https://example.com/pricing", contact_type = "user" }
        },
      ]
    }
    verdict = "delivered"
  }
}

test "Google is down" {
  event {
    aggregate_type = "contact"
    type           = "contact.page_visited"
    created_at     = "2023-11-14T22:13:21Z"
    payload = {
      contact    = { id = 7, type = "lead" }
      page_visit = { url = "https://example.com/", visited_at = 1700000000 }
    }
  }
  response {
    status = 503
  }
  expect "ga4_page_views" {
    verdict = "retry"
  }
}
