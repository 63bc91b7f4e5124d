locals {
  kind = event.type
}

rule "both" {
  when  = event.type == "a" && event.aggregate_type == "contact" && event.type == "b" # want "\"when\" is never true.*event.type would have to be \"b\", and can only be \"a\""
  topic = "lead.created"
}

rule "not" {
  when  = !(event.type != "a") && !("a" == local.kind) # want "\"when\" is never true.*event.type would have to be \"a\", and must not be"
  topic = "lead.created"
}

rule "list" {
  when  = contains(["a", "b"], event.type) && contains(["c"], event.type) # want "is never true.*\"c\", and can only be \"a\" or \"b\""
  topic = "lead.created"
}

rule "constant" {
  when  = event.type == "a" && 1 > 2 # want "is never true.*false, whatever the event"
  topic = "lead.created"
}

rule "either" {
  when  = (event.type == "a" || event.type == "b") && event.type == "c" # want "is never true"
  topic = "lead.created"
}

rule "number" {
  when  = event.aggregate_id == 42 # want "is never true.*event.aggregate_id is a string.*42.*quotes"
  topic = "lead.created"
}

rule "fine" {
  when  = (event.type == "a" || event.type == "b") && event.type != "a" && event.payload.n == 1 && event.payload.m == 2
  topic = "lead.created"
}

rule "fine_too" {
  when  = event.type == "a" ? event.aggregate_id == "1" : event.aggregate_id == "2"
  topic = "lead.created"
}

topic "nothing.gives" {
  event_types = []
}

topic "rule.never" {
  event_types = []
}

rule "never" {
  when  = false # want "\"when\" is never true"
  topic = "rule.never"
}

webhook "unreached" {
  topics = ["nothing.*", "rule.never"] # want "Webhook that nothing reaches.*event_types"
  url    = "https://crm.example/"
}

webhook "other_topic" {
  topics = ["contact.*"]
  when   = event.topic == "lead.created" # want "\"when\" is never true.*\"lead.created\", and can only be"
  url    = "https://crm.example/"
}

webhook "never_good" {
  topics       = ["contact.*"]
  url          = "https://crm.example/"
  success_when = response.status == 204 && false # want "\"success_when\" is never true"
}

webhook "two_statuses" {
  topics         = ["contact.*"]
  url            = "https://crm.example/"
  success_when   = response.status == 200 && response.status == 201 # want "is never true.*response.status would have to be 201, and can only be 200"
  permanent_when = response.json.data.code == "a" && response.json.payload.code == "b"
}
