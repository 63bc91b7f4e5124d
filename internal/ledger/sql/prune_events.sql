-- Deletes those events that nothing refers to any more. Indexes: event_pkey, delivery_event,
-- quarantine_event_id_rule_webhook_topic_key. The writer locks an event that it is about to refer to and renews its
-- recorded_at, so that one is either gone before or spared here.
delete from walpost.event e
where e.id = any ($1::text[])
    and e.recorded_at <= walpost.now() - interval '5 minutes'
    and not exists (select from walpost.delivery d where d.event_id = e.id)
    and not exists (select from walpost.quarantine q where q.event_id = e.id)
