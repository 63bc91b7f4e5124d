-- Deletes the rows of a leaf that are below the horizon ($3) in a range of blocks (from $1 up to $2), $4 of them at most. No
-- index is needed:
--
--   Delete on outbox
--     InitPlan 2
--       ->  Limit
--             InitPlan 1
--               ->  Result
--             ->  Tid Range Scan on outbox t
--                   TID Cond: ((ctid >= '(0,0)'::tid) AND (ctid < '(64,0)'::tid))
--                   Filter: (($0 - (($0 - ((xmin)::text)::bigint) & '4294967295'::bigint)) < '4711'::bigint)
--     ->  Tid Scan on outbox
--           TID Cond: (ctid = ANY ($1))
--
-- The 32 bits of a row's xmin are widened to the nearest id below the end of the statement's own snapshot: right for every
-- row younger than 2^32 transactions, and an older one looks younger, and stays. A row that somebody updates meanwhile has
-- another place then, and stays. There is no FOR UPDATE SKIP LOCKED: it takes the right to update. Who has locked a row is
-- waited for, as long as lock_timeout says.
delete from only {table}
where ctid = any (array(
    select t.ctid
    from only {table} t
    where t.ctid >= $1::tid and t.ctid < $2::tid
        and (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
            - (((select pg_snapshot_xmax(pg_current_snapshot())::text::bigint) - t.xmin::text::bigint) & 4294967295) < $3::bigint
    limit $4
))
