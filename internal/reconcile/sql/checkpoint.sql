-- Below which transaction the checkpoint of slot $1 has surely dealt with all rows; 0: of none. No row: there is no
-- checkpoint. Index: checkpoint_pkey.
select case when c.snapshot is null then 0
       else least(pg_snapshot_xmin(c.snapshot)::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint) end
from walpost.checkpoint c
where c.slot = $1
