locals {
  used   = "a"
  unused = "b" # want "Unused local \"unused\""
}

webhook "crm" {
  locals {
    own    = local.used
    twice  = event.id # want "Unused local \"twice\""
  }
  topics = ["*"]
  url    = "https://crm.example/${local.own}"
}
