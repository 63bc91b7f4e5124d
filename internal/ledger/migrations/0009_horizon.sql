-- How far the outbox was resolved at earlier times, a few samples per slot: what is deleted of it by age goes by these.
create table walpost.horizon (
    slot      text not null,
    at        timestamptz not null,
    xid       bigint not null,
    system_id text not null,
    primary key (slot, at)
);
comment on table walpost.horizon is 'Until which transaction the outbox rows were resolved at which time, by replication slot.';
comment on column walpost.horizon.xid is 'Lower end of the checkpoint''s snapshot, a 64-bit transaction id: rows of transactions below it were resolved by then.';
comment on column walpost.horizon.system_id is 'System identifier of the cluster that the transaction id belongs to.';
