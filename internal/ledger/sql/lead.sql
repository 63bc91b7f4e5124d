-- Takes the lead ($1) if nobody has it. No index.
select pg_catalog.pg_try_advisory_lock($1)
