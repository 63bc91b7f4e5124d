-- A claim used to move due_at to the end of its lease, and so wrote into every index of the table. The lease has a column of
-- its own, which no index has: a claim is one new row version in the same page (HOT), as long as the page has room.
alter table walpost.delivery add column leased_until timestamptz;
comment on column walpost.delivery.leased_until is 'A daemon attempts the delivery until then, and nobody else does. Null or past: nobody does.';
comment on column walpost.delivery.due_at is 'When the next attempt may start.';
