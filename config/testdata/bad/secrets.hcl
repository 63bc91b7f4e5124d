outbox {
  slot        = env("TOKEN")  # want "Secret where none may go.*slot is not kept secret"
  max_payload = env("TOKEN")  # want "Secret where none may go"
}

ledger {
  record    = env("TOKEN")    # want "Secret where none may go"
  retention = file("secret")  # want "Secret where none may go"
}

rule "vip" {
  when  = event.type == env("TOKEN")          # want "Secret where none may go.*a condition"
  topic = "lead.created"
  data  = { token = "x-${env("TOKEN")}" }     # want "Secret where none may go.*a rule's data"
}

webhook "crm" {
  name        = upper(env("TOKEN"))           # want "Secret where none may go"
  topics      = ["*"]
  when        = event.id != sha256(env("TOKEN")) # want "Secret where none may go"
  enabled     = env("TOKEN") == "x"           # want "Secret where none may go"
  concurrency = length(env("TOKEN"))          # want "Secret where none may go"
  retry       = [env("TOKEN")]                # want "Secret where none may go"
  success     = split(",", env("TOKEN"))      # want "Secret where none may go"
  url         = "https://crm.example/"
  headers     = { (env("TOKEN")) = "x" }      # want "Computed name"
  body_params = { a = { for k in [1] : env("TOKEN") => k } } # want "Secret as a name"

  sign {
    secret   = env("TOKEN")                   # want "Invalid signing secret in \"secret\".*whsec_.*openssl rand"
    previous = file("secret")                 # want "Invalid signing secret in \"previous\".*trimspace"
  }
}

webhook "short" {
  topics  = ["*"]
  url     = "https://crm.example/"
  headers = { X-Key = env("MULTILINE") }      # want "Invalid header value.*line breaks"
  body = [
    parseint(env("TOKEN"), 10),               # want "Invalid function argument.*not shown"
    { for k in [env("TOKEN"), env("TOKEN")] : k => 1 }, # want "Duplicate object key.*not shown"
    env("TOKEN") + 1,                         # want "Invalid operand"
  ]

  sign {
    secret = "whsec_c2hvcnQ=" # want "Invalid signing secret.*5 bytes" "Secret written out.*sign.secret.*env\(\"SHORT_SECRET\"\)"
  }
}

webhook "no_secret" {
  topics = ["*"]
  url    = "https://crm.example/"

  sign { # want "Missing argument \"secret\""
  }
}

locals {
  token = lower(env("TOKEN"))
  twice = "${local.token}${local.token}"
}

webhook "local_secret" {
  topics = ["*"]
  url    = "https://crm.example/"
  query  = { token = local.token, t = local.twice }
  when   = local.twice == "x"                 # want "Secret where none may go.*a condition"
  body = [
    parseint(local.twice, 10),                # want "Invalid function argument.*not shown"
  ]
  form        = { n = { (local.token) = 1 } } # want "Both body and form" "Secret as a name"
  body_params = { a = { for k in [local.token, local.token] : k => 1 }, b = parseint(upper(local.token), 10) } # want "Both body and body_params" "Duplicate object key.*not shown" "Invalid function argument.*not shown"

  capture {
    key   = local.token                       # want "Secret where none may go"
    value = { for e in [1] : local.twice => e } # want "Secret as a name"
  }
}
