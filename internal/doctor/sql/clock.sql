-- The database's time now, in seconds. No index.
select to_jsonb(extract(epoch from pg_catalog.clock_timestamp()))
