# Who we are: bearer, basic, OAuth2
#
# An "auth" block sets the Authorization header. For oauth2 walpost gets the token,
# keeps it until it expires, and gets a new one when the receiver answers 401. Secrets
# come from the environment or a file, and show up nowhere.

database {
  url = env("DATABASE_URL")
}

webhook "with_a_token" {
  topics = ["contact.tagged"]
  url    = "https://one.example.com/hooks"
  auth "bearer" {
    token = env("CRM_TOKEN")
  }
}

webhook "with_a_password" {
  topics = ["contact.tagged"]
  url    = "https://two.example.com/hooks"
  auth "basic" {
    username = env("CRM_USER")
    password = env("CRM_PASSWORD")
  }
}

webhook "with_oauth2" {
  topics = ["contact.tagged"]
  url    = "https://three.example.com/hooks"
  auth "oauth2" {
    token_url     = "https://login.example.com/oauth/token"
    client_id     = env("CRM_CLIENT_ID")
    client_secret = env("CRM_CLIENT_SECRET")
    scopes        = ["contacts.write"]
  }
}

# A test sees what is known before anything is sent: not the token of oauth2.
test "each has its header" {
  event {
    type    = "tagged"
    payload = { contact = { id = 7, type = "user" }, tag = { name = "vip" } }
  }
  expect "with_a_token" {
    headers = { authorization = "Bearer crm-test-token" }
  }
  expect "with_a_password" {
    headers = { authorization = "Basic d2FscG9zdDpjcm0tdGVzdC1wYXNzd29yZA==" }
  }
  expect "with_oauth2" {
    url = "https://three.example.com/hooks"
  }
}
