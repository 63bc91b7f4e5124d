-- Takes the session's advisory lock ($1) on the recovery of a slot, unless another session has it. No index.
select json_build_object('held', pg_catalog.pg_try_advisory_lock($1::bigint))
