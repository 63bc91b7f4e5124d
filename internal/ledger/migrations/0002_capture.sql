-- What webhooks keep of the answers that they got, for later requests: a ticket's id for a conversation. Captures are
-- rare beside deliveries, so the index that pruning needs costs little, though it lets no update be HOT.
create table walpost.capture (
    webhook     text not null,
    key         text not null,
    value       text not null,
    event_id    text not null,
    lsn         pg_lsn not null,
    captured_at timestamptz not null,
    primary key (webhook, key)
);
create index capture_age on walpost.capture (captured_at);
comment on table walpost.capture is 'What webhooks kept of their answers: the latest value of each key, for 30 days.';
comment on column walpost.capture.webhook is 'The webhook whose answer the value comes from.';
comment on column walpost.capture.key is 'What the webhook''s capture block says; one that is too long for an index ends in its SHA-256.';
comment on column walpost.capture.value is 'JSON.';
comment on column walpost.capture.event_id is 'The event whose delivery was answered.';
comment on column walpost.capture.lsn is 'LSN of that event''s commit: the value of the event that was committed last stays, whatever came first.';
