-- Drops the slot ($1), which nobody may be reading. No index.
select json_build_object('dropped', pg_catalog.pg_drop_replication_slot($1)::text)
