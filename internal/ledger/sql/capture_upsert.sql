-- Captured values. One of an event that was committed later is in place already and stays. Index: capture_pkey.
insert into walpost.capture as c (webhook, key, value, event_id, lsn, captured_at)
select webhook, key, value, event_id, lsn::pg_lsn, walpost.now()
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) as new (webhook, key, value, event_id, lsn)
on conflict (webhook, key) do update
set (value, event_id, lsn, captured_at) = row (excluded.value, excluded.event_id, excluded.lsn, excluded.captured_at)
where c.lsn <= excluded.lsn
