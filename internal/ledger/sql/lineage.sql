-- Whether the checkpoint of slot $1 is the very row that its transaction wrote, so that transaction ids mean here what they
-- meant there: files were copied, and not rows. Index: checkpoint_pkey.
select coalesce((written_by::text::bigint & 4294967295) = xmin::text::bigint, false) and snapshot is not null
from walpost.checkpoint
where slot = $1
