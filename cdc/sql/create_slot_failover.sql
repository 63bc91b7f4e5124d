-- Creates the slot ($1) so that standbys may keep a copy of it (Postgres 17 and later). Else as create_slot.sql.
select json_build_object('lsn', lsn) from pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput', failover => true)
