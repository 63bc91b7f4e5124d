locals {
  source = "walpost"
}

defaults {
  headers = { X-Event = event.id, X-Source = local.source }
}

webhook "batched" { # want "Header X-Event of defaults can't be made here.*A batch has several events.*X-Event = null"
  topics = ["*"]
  url    = "https://crm.example/"

  batch {
  }
}

webhook "shadowed" { # want "Header X-Source of defaults can't be made here.*a string, not an object"
  locals {
    source = { name = "walpost" }
  }
  topics = ["*"]
  url    = "https://crm.example/"
  body   = local.source
}

webhook "own" {
  topics  = ["*"]
  url     = "https://crm.example/"
  headers = { x-event = null }

  batch {
  }
}
