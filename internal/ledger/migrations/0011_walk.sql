-- How far the table was read in place of a lost stream: who is cut off is followed by one who goes on there.
alter table walpost.checkpoint add column walk jsonb;
comment on column walpost.checkpoint.walk is 'The walk through the outbox in place of the stream, for the gap above the snapshot: what lies before its place is resolved.';
