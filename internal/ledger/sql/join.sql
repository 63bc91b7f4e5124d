-- Makes the session a member ($1). Nobody takes that lock alone, so it never waits. No index.
select pg_catalog.pg_advisory_lock_shared($1)
