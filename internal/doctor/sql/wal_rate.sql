-- How much WAL is written, in bytes per second since the statistics were reset, which must be an hour ago to mean something.
-- No index: one row in shared memory.
select to_jsonb(wal_bytes / extract(epoch from pg_catalog.clock_timestamp() - stats_reset))
from pg_catalog.pg_stat_wal
where stats_reset < pg_catalog.clock_timestamp() - interval '1 hour'
