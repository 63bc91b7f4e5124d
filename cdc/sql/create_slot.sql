-- Creates the slot ($1). Waits for every transaction that is open in the cluster, so it needs lock_timeout. No index.
select json_build_object('lsn', lsn) from pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')
