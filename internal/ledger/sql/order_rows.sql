-- Makes rows of the webhooks that have none yet, for order_lock.sql. Index: webhook_pkey. With none missing, nothing is written.
insert into walpost.webhook (name, updated_at)
select n.name, walpost.now()
from unnest($1::text[]) as n (name)
where not exists (select from walpost.webhook w where w.name = n.name)
on conflict (name) do nothing
