locals {
  contact = event.data.contact
  mail    = local.contact.emial # want "Unknown path \"event.data.contact.emial\".*Did you mean \"email\"\?"
}

webhook "typos" {
  topics = ["contact.tagged"]
  when   = event.data.contcat.email != null # want "Unknown path \"event.data.contcat\".*Did you mean \"contact\"\?"
  url    = "https://crm.example/${event.payload.tag.nam}" # want "Unknown path \"event.payload.tag.nam\".*\"name\""
  body = {
    name     = event.data.contact["nmae"]             # want "Unknown path \"event.data.contact.nmae\".*Did you mean \"name\"\?"
    tags     = [for t in event.data.contact.tags : t.nam] # want "Unknown path \"event.data.contact.tags\[\].nam\".*\"name\""
    first    = event.data.contact.tags[0].named       # want "Unknown path.*\"name\""
    plain    = event.data.contact.email.domain        # want "Unknown path \"event.data.contact.email.domain\""
    no_list  = event.data.contact.tags.name           # want "Unknown path \"event.data.contact.tags.name\""
    mail     = local.mail
    phone    = local.contact.fone                     # want "Unknown path \"event.data.contact.fone\".*Did you mean \"phone\"\?"
    plan     = event.data.contact.custom_properties.plan.of.any.depth
    city     = event.data.contact.location_data.city
    fine     = [for t in event.data.contact.tags : { id = t.id, name = t.name }]
    tagged   = event.data.tagged_at
    missing  = try(event.data.contact.company, "unknown")
    maybe    = can(event.data.contact.company)
    computed = event.data[event.type].emial
    headers  = event.headers.anything
  }
}

webhook "meetings" {
  topics = ["meeting.*", "contact.tagged"]
  url    = "https://crm.example/"
  body   = { at = event.data.meeting.start_at, tag = event.data.tag.name, visit = event.data.page_visit.url } # want "Unknown path \"event.data.page_visit\""
}

webhook "batched" {
  topics = ["contact.page_visited"]
  url    = "https://ga.example/"
  body   = [for e in events : e.data.page_visit.urll] # want "Unknown path \"event.data.page_visit.urll\".*\"url\""
  query  = { first = events[0].data.page_vist.url }   # want "Unknown path \"event.data.page_vist\".*\"page_visit\""

  batch {
  }
}

# What a rule makes, or the user declares, may have anything.
rule "lead" {
  when  = event.type == "signed_up"
  topic = "lead.created"
}

topic "invoice.paid" {
}

webhook "anything" {
  topics = ["lead.created", "contact.tagged"]
  url    = "https://crm.example/"
  body   = event.data.any.thing
}

webhook "own" {
  topics = ["invoice.*", "contact.tagged"]
  url    = "https://crm.example/"
  body   = event.data.any.thing
}
