-- order_by: the deliveries of a key go one at a time, in commit order. Of those of a key that are owed one is out, which is
-- claimed when it is due, and the others are held: they come due at infinity, so that a claim costs the same however many
-- wait. Each transaction that changes what is owed of a key ends with sql/order_settle.sql, under a lock of the webhook's
-- row, which lets the next one out.
alter table walpost.delivery
    add column order_key text,
    add column order_lsn pg_lsn,
    add column order_n   bigint,
    add column held      boolean not null default false check (not held or order_key is not null);
comment on column walpost.delivery.order_key is 'What order_by made of the event; null: it has no order. A long one ends in its SHA-256.';
comment on column walpost.delivery.order_lsn is 'LSN of the event''s commit: with order_n, the place in its key.';
comment on column walpost.delivery.order_n is 'Place among the deliveries of the event''s transaction.';
comment on column walpost.delivery.held is 'While owed: it waits until an earlier one of its key is final.';
create index delivery_order on walpost.delivery (webhook, order_key, held, order_lsn, order_n, id)
    where order_key is not null and state in ('pending', 'retrying');
create index delivery_parked_order on walpost.delivery (webhook, order_lsn, order_n, id)
    where order_key is not null and state = 'parked';

alter table walpost.webhook add column enabling_at timestamptz;
comment on column walpost.webhook.enabling_at is 'It is being enabled with replay: what is parked comes due before anything else may go.';
comment on table walpost.webhook is 'Run-time state of webhooks that were ever disabled or owed something in order; one without a row is enabled.';

create or replace view walpost.deliveries as
select id, event_id, topic, webhook, state, attempts,
    case when state in ('pending', 'retrying') and not held then due_at end as due_at,
    last_status, last_class, last_verdict, created_at, updated_at, finished_at,
    order_key, held and state in ('pending', 'retrying') as held
from walpost.delivery
union all
select delivery_id, event_id, topic, webhook, 'delivered', n, null, status, class, verdict, at, at, at, null, false
from walpost.attempt where sole;
