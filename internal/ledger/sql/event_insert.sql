-- Events, once each. Index: event_pkey.
-- One that is there already is locked until the commit, and gets a new recorded_at if it is old: pruning, which
-- spares what was recorded lately, can't delete it under the delivery that is about to refer to it.
insert into walpost.event as e
    (id, aggregate_type, aggregate_id, type, payload, headers, created_at, committed_at, lsn, recorded_at)
select id, aggregate_type, aggregate_id, type, payload, headers, created_at, committed_at, lsn::pg_lsn, walpost.now()
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::timestamptz[], $8::timestamptz[], $9::text[])
    as new (id, aggregate_type, aggregate_id, type, payload, headers, created_at, committed_at, lsn)
on conflict (id) do update set recorded_at = excluded.recorded_at
where e.recorded_at < excluded.recorded_at - interval '1 minute'
