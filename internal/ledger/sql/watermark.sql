-- A snapshot, and a position above the commits of all that it sees: the statement's snapshot is taken before the
-- position is read. No index.
select pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_current_wal_insert_lsn()::text
