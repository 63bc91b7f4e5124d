-- For counting what has ended, webhook by webhook. Equal keys share an entry, so that it is small.
create index delivery_ended on walpost.delivery (webhook, state) where finished_at is not null;
