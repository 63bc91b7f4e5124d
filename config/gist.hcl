# The built-in pack: the 27 topics of the Gist webhooks guide, with its names and
# triggers. `walpost rules gist` prints this file; `rules = "none"` leaves it out.
#
# A row gets a topic when its event_type, or its aggregate_type and event_type
# joined by a dot, is one of the topic's event_types (default: the topic's name).

# Contacts come and go: users, and leads, who have not signed up yet.

topic "user.created" {
  title       = "User created"
  description = "A new user gets created"
  aggregate   = "contact"
}

topic "lead.created" {
  title       = "Lead created"
  description = "A new lead gets created"
  aggregate   = "contact"
}

topic "user.deleted" {
  title       = "User deleted"
  description = "An existing user is deleted"
  aggregate   = "contact"
}

topic "lead.deleted" {
  title       = "Lead deleted"
  description = "An existing lead is deleted"
  aggregate   = "contact"
}

topic "contact.created" {
  title       = "Contact created"
  description = "A new contact is created"
  aggregate   = "contact"

  # A new user or lead is a new contact.
  event_types = ["contact.created", "user.created", "lead.created"]
}

# What happens to a contact.

topic "contact.tagged" {
  title       = "Contact tagged"
  description = "A contact gets tagged"
  aggregate   = "contact"
}

topic "contact.untagged" {
  title       = "Contact untagged"
  description = "A contact gets untagged"
  aggregate   = "contact"
}

topic "contact.property_updated" {
  title       = "Custom property value updated"
  description = "A custom property value has been updated"
  aggregate   = "contact"
}

topic "contact.email_updated" {
  title       = "Contact email updated"
  description = "The contact email is updated"
  aggregate   = "contact"
}

topic "lead.email_submitted" {
  title       = "Lead submitted email"
  description = "A lead submits an email"
  aggregate   = "contact"
}

topic "contact.unsubscribed_from_emails" {
  title       = "Contact unsubscribed from emails"
  description = "A contact unsubscribed emails"
  aggregate   = "contact"
}

# Conversations.

topic "conversation.initiated" {
  title       = "Contact initiated conversation"
  description = "A new message is received from a contact"
  aggregate   = "conversation"
}

topic "conversation.assigned" {
  title       = "Conversation assigned"
  description = "A conversation gets assigned to a teammate"
  aggregate   = "conversation"
}

topic "conversation.opened" {
  title       = "Conversation opened"
  description = "A conversation is opened"
  aggregate   = "conversation"
}

topic "conversation.closed" {
  title       = "Conversation closed"
  description = "A conversation is closed"
  aggregate   = "conversation"
}

topic "conversation.message_received" {
  title       = "New message received"
  description = "A contact sends a message in chat"
  aggregate   = "conversation"

  # The message that starts a conversation is a message received too.
  event_types = ["conversation.message_received", "conversation.initiated"]
}

topic "conversation.teammate_replied" {
  title       = "Teammate replied"
  description = "A teammate replied in chat"
  aggregate   = "conversation"
}

topic "conversation.rating_left" {
  title       = "Conversation rating left"
  description = "A contact leaves a satisfaction rating"
  aggregate   = "conversation"
}

topic "conversation.note_added" {
  title       = "Note added"
  description = "A teammate adds a note to the conversation"
  aggregate   = "conversation"
}

# Campaigns.

topic "contact.campaign_subscribed" {
  title       = "Contact subscribed to campaign"
  description = "The contact subscribed for a campaign"
  aggregate   = "contact"
}

topic "contact.campaign_unsubscribed" {
  title       = "Contact unsubscribed from campaign"
  description = "The contact unsubscribed for a campaign"
  aggregate   = "contact"
}

# What a contact does on the site.

topic "contact.event_performed" {
  title       = "Contact performed an event"
  description = "A contact performed an event"
  aggregate   = "contact"
}

topic "contact.form_submitted" {
  title       = "Contact submitted form"
  description = "A contact submits a form"
  aggregate   = "contact"
}

topic "contact.page_visited" {
  title       = "New page visited"
  description = "There is a new page visit"
  aggregate   = "contact"
}

# Meetings.

topic "meeting.scheduled" {
  title       = "Meeting scheduled"
  description = "A meeting is scheduled"
  aggregate   = "meeting"
}

topic "meeting.cancelled" {
  title       = "Meeting cancelled"
  description = "A meeting is canceled"
  aggregate   = "meeting"

  # Read in either spelling.
  event_types = ["meeting.cancelled", "meeting.canceled"]
}

topic "meeting.rescheduled" {
  title       = "Meeting rescheduled"
  description = "A meeting is rescheduled"
  aggregate   = "meeting"
}
