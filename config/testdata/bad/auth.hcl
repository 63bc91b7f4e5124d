webhook "kind" {
  topics = ["*"]
  url    = "https://crm.example/"
  auth "oauth" { # want "Unknown kind of \"auth\".*\"basic\", \"bearer\", \"jwt_bearer\" or \"oauth2\".*Did you mean \"oauth2\"\?"
    anything = 1
  }
}

webhook "none" {
  topics = ["*"]
  url    = "https://crm.example/"
  auth { # want "Missing name of \"auth\" block.*auth \"oauth2\""
    token = env("TOKEN")
  }
}

webhook "twice" {
  topics  = ["*"]
  url     = "https://crm.example/"
  headers = { authorization = "Bearer ${env("TOKEN")}" } # want "Both auth and an Authorization header"
  auth "bearer" {
    token = env("TOKEN")
  }
  auth "basic" { # want "Duplicate \"auth\" block"
    username = "a"
    password = env("TOKEN")
  }
}

webhook "oauth2" {
  topics = ["*"]
  url    = "https://crm.example/"
  auth "oauth2" { # want "Missing argument \"client_secret\".*client_secret = env"
    token_url = "login.example/token" # want "Invalid \"token_url\".*no scheme"
    client_id = ""                    # want "Empty \"client_id\""
    scopes    = "contacts"            # want "Invalid \"scopes\".*a list of scopes"
    params    = { n = 1 }             # want "Invalid \"params.n\".*a string, not a number"
    username  = "x"                   # want "Unsupported argument \"username\".*The \"oauth2\" block"
  }
}

webhook "jwt" {
  topics = ["*"]
  url    = "https://crm.example/"
  auth "jwt_bearer" {
    token_url   = env("TOKEN")        # want "Invalid \"token_url\""
    issuer      = event.id            # want "No event here"
    private_key = env("TOKEN")        # want "Invalid \"private_key\".*no \"-----BEGIN.*openssl genrsa"
    params      = [1]                 # want "Invalid \"params\".*an object of strings.*not a list"
  }
}
