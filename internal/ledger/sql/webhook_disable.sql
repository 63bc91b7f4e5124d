-- Webhooks to be off from now on; the first reason stays, unless they are being enabled. Indexes: webhook_pkey,
-- delivery_pkey. Where an attempt under a claim is the reason ($5), the claim must still be good: a daemon that was frozen
-- may bring an old answer.
insert into walpost.webhook as w (name, disabled_at, disabled_by, disabled_why, updated_at)
select distinct on (name) name, walpost.now(), by, why, walpost.now()
from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[]) as new (name, by, why, delivery, fence)
where fence = 0 or exists (select from walpost.delivery d where d.id = new.delivery and d.fence = new.fence)
on conflict (name) do update
set (disabled_at, disabled_by, disabled_why, updated_at, enabling_at)
    = row (excluded.disabled_at, excluded.disabled_by, excluded.disabled_why, excluded.updated_at, null::timestamptz)
where w.disabled_at is null or w.enabling_at is not null
