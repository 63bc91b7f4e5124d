# GET with a query
#
# A GET has no body: the event's id and topic go into the query, and "query" adds more,
# encoded. A parameter that is null is left out.

database {
  url = env("DATABASE_URL")
}

webhook "tracker" {
  topics = ["contact.page_visited"]
  method = "GET"
  url    = "https://track.example.com/hit"
  query = {
    page     = event.data.page_visit.url
    referrer = event.data.page_visit.referrer
    key      = env("TRACKER_KEY")
  }
}

test "a visit" {
  event {
    id      = "11111111-2222-4333-8444-555555555555"
    type    = "page_visited"
    payload = { contact = { id = 7, type = "user" }, page_visit = { url = "https://example.com/?a=1&b=2", visited_at = 1767261600 } }
  }
  expect "tracker" {
    method = "GET"
    url    = "https://track.example.com/hit"
    query = {
      id       = "11111111-2222-4333-8444-555555555555"
      topic    = "contact.page_visited"
      page     = "https://example.com/?a=1&b=2"
      referrer = null
      key      = "tracker-test-key"
    }
  }
}
