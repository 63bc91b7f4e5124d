-- Whose stream an incident happened to: a lost slot is recovered as long as it has an open one.
alter table walpost.incident add column slot text not null default '';
comment on column walpost.incident.slot is 'The replication slot; empty if it was recorded by an older walpost.';
comment on column walpost.incident.lsn_to is 'Where the gap ends: a checkpoint at or above it resolves the incident.';
