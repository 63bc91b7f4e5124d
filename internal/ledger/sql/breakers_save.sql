-- Makes the open breakers of a daemon ($1) those of the webhooks $2, open for $3 because of $4. Index: breaker_pkey. What daemons have
-- left that are gone is deleted after a day.
with gone as (
    delete from walpost.breaker
    where daemon = $1 and webhook <> all ($2::text[]) or daemon <> $1 and noted_at < walpost.now() - interval '1 day'
)
insert into walpost.breaker as b (daemon, webhook, opened_at, why, noted_at)
select $1, webhook, walpost.now() - open_for, why, walpost.now()
from unnest($2::text[], $3::interval[], $4::text[]) as new (webhook, open_for, why)
on conflict (daemon, webhook) do update set opened_at = excluded.opened_at, why = excluded.why, noted_at = excluded.noted_at
