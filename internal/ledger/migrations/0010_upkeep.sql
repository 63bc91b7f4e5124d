-- A claim updates whole pages of deliveries at a time. Half a page is left free, so that the new versions find room beside
-- the old ones and no index is written. Tables of before keep their pages; new ones are as said.
alter table walpost.delivery set (fillfactor = 50, autovacuum_vacuum_insert_scale_factor = 0.05);
alter table walpost.event set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);

-- One index for what has ended, for pruning and for counting, instead of two.
drop index walpost.delivery_ended;
drop index walpost.delivery_finished;
create index delivery_finished on walpost.delivery (webhook, state, finished_at) where finished_at is not null;
