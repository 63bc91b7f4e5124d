# URLs with values of the event in them
#
# Scheme and host are written out: no event can send a request elsewhere. In the path,
# urlencode() makes one segment of any value, slashes and all; the query is best left to
# "query", which encodes by itself.

database {
  url = env("DATABASE_URL")
}

webhook "members" {
  topics = ["contact.unsubscribed_from_emails"]
  method = "DELETE"
  url    = "https://lists.example.com/members/${urlencode(lower(event.data.contact.email))}"
  query  = { reason = "unsubscribed" }
}

webhook "hashed" {
  topics = ["contact.unsubscribed_from_emails"]
  method = "PATCH"
  url    = "https://lists.example.com/by-hash/${md5(lower(event.data.contact.email))}"
  body   = { status = "unsubscribed" }
}

test "an address with everything" {
  event {
    type    = "unsubscribed_from_emails"
    payload = { contact = { id = 7, type = "user", email = "Ada/../x?y#z@Example.com" } }
  }
  expect "members" {
    method = "DELETE"
    url    = "https://lists.example.com/members/ada%2F..%2Fx%3Fy%23z%40example.com"
    query  = { reason = "unsubscribed", topic = "contact.unsubscribed_from_emails" }
  }
  expect "hashed" {
    url = "https://lists.example.com/by-hash/${md5("ada/../x?y#z@example.com")}"
  }
}
