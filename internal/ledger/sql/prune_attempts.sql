-- Deletes old attempts that lie in no day's partition, a chunk at a time. No index: the default partition is empty as
-- long as the daily ones are made ahead.
delete from walpost.attempt_default
where ctid = any (array(select ctid from walpost.attempt_default where at < walpost.now() - $1::interval limit $2))
