admin {
  listen = "127.0.0.1:8710"
  token  = "s3cretAdminToken" # want "Secret written out.*admin.token.*env\(\"WALPOST_ADMIN_TOKEN\"\)"
}

defaults {
  headers = { X-Api-Key = "k3y-of-all-webhooks" } # want "headers.X-Api-Key.*env\(\"WALPOST_API_KEY\"\)"
}

locals {
  token = "sk_live_51HxQabc"
}

webhook "crm" {
  topics  = ["*"]
  url     = "https://crm.example/?api_key=a1b2c3d4e5f6" # want "What stands for url.*\"https://….*env\(\"CRM_API_KEY\"\)"
  headers = {
    Authorization = "Bearer ${local.token}" # want "headers.Authorization.*write: \"Bearer \$\{env\(\"CRM_TOKEN\"\)\}\""
    X-Request-Id  = "a1b2c3d4e5f6"
  }
  query = {
    api_secret     = "Zm9vYmFyYmF6" # want "query.api_secret.*env\(\"CRM_API_SECRET\"\)"
    key            = "email"
    measurement_id = "G-ABCDEF1234"
    token          = event.data.contact.id
  }

  sign {
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx" # want "sign.secret.*env\(\"CRM_SECRET\"\)"
  }
}

webhook "my-crm" {
  topics = ["*"]
  url    = "https://user:pa55word@crm.example/" # want "url.*env\(\"MY_CRM_PASSWORD\"\)"

  auth "basic" {
    username = "walpost"
    password = "x" # want "auth.password.*env\(\"MY_CRM_PASSWORD\"\)"
  }
}

webhook "fine" {
  topics  = ["*"]
  url     = "https://crm.example/"
  headers = { Authorization = "Bearer ${env("TOKEN")}", Idempotency-Key = "e-${event.id}" } # want "Header Idempotency-Key"
}
