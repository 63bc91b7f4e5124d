-- The ledger of walpost: every durable fact after the WAL. Ordinary tables that people may query and join, best
-- through the views at the end; walpost alone writes them. They are never part of the publication.

do $$ begin
    if to_regnamespace('walpost') is null then
        create schema walpost;
    end if;
end $$;
comment on schema walpost is 'Ledger of walpost: what is owed, failed or parked, and how far the WAL is resolved.';

create table walpost.migration (
    version    int primary key,
    name       text not null,
    applied_at timestamptz not null default pg_catalog.now()
);
comment on table walpost.migration is 'Migrations of this schema that have run.';

-- The one clock of all statements. Tests shift it.
create function walpost.now() returns timestamptz
    language sql stable parallel safe
    as 'select pg_catalog.now()';
comment on function walpost.now() is 'The time by which walpost schedules: the start of the transaction.';

-- Updated once a second at most, so old versions must fit into the page until they are pruned (HOT).
create table walpost.checkpoint (
    slot         text primary key,
    lsn          pg_lsn not null default '0/0',
    system_id    text not null,
    timeline     int not null,
    epoch        bigint not null,
    snapshot     pg_snapshot,
    snapshot_lsn pg_lsn,
    counters     jsonb not null default '{}',
    drained      boolean not null default false,
    updated_at   timestamptz not null
) with (fillfactor = 20);
comment on table walpost.checkpoint is 'How far the WAL is resolved, one row per replication slot.';
comment on column walpost.checkpoint.lsn is 'Everything committed at or below this LSN is delivered or recorded here. Never goes back.';
comment on column walpost.checkpoint.system_id is 'System identifier of the cluster that the LSN belongs to.';
comment on column walpost.checkpoint.timeline is 'Timeline on which the slot was acquired last.';
comment on column walpost.checkpoint.epoch is 'Counts the owners of the slot; only the newest may move the checkpoint.';
comment on column walpost.checkpoint.snapshot is 'Snapshot of which all is resolved that it sees: sampled at or below the LSN, or that in which a recovery has read. What it does not see is not known to be resolved.';
comment on column walpost.checkpoint.snapshot_lsn is 'Insert LSN just before the snapshot was taken.';
comment on column walpost.checkpoint.drained is 'The owner ended in order: nothing that was committed above the LSN is recorded here.';
comment on column walpost.checkpoint.counters is 'Totals since the first start, saved with the position.';

-- No foreign key leads here: it would lock the event row, and write WAL, for each delivery. The writer records an
-- event with its first delivery in one transaction, and only pruning deletes events, those without a delivery.
create table walpost.event (
    id             text primary key,
    aggregate_type text not null,
    aggregate_id   text not null,
    type           text not null,
    payload        text,
    headers        text,
    created_at     timestamptz,
    committed_at   timestamptz,
    lsn            pg_lsn not null,
    recorded_at    timestamptz not null
);
comment on table walpost.event is 'Outbox rows that a delivery or a quarantine entry needs, once each.';
comment on column walpost.event.payload is 'The payload''s JSON, verbatim; null only in a quarantined row that has none.';
comment on column walpost.event.headers is 'The headers'' JSON, verbatim.';
comment on column walpost.event.lsn is 'LSN of the commit record.';
comment on column walpost.event.recorded_at is 'When the event was recorded, or met again a minute or more later; spares it from pruning for a while.';

-- Not partitioned by day as walpost.attempt is: a delivery keeps its id for life, so the id has to be unique over
-- all days, and a unique index of a partitioned table must contain the partition key. It is small instead: only what
-- is not delivered at the first attempt is here, and finished ones are pruned in batches. Each row is in exactly one of
-- the three partial indexes, so what is parked or finished costs a claim nothing.
create table walpost.delivery (
    id           uuid primary key,
    event_id     text not null,
    topic        text not null,
    webhook      text not null,
    state        text not null
        check (state in ('pending', 'retrying', 'parked', 'delivered', 'failed', 'cancelled')),
    attempts     int not null default 0,
    due_at       timestamptz not null,
    fence        bigint not null default 0,
    last_status  int,
    last_class   text,
    last_verdict text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    finished_at  timestamptz
        check ((finished_at is not null) = (state in ('delivered', 'failed', 'cancelled')))
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
create index delivery_due on walpost.delivery (webhook, due_at) where state in ('pending', 'retrying');
create index delivery_parked on walpost.delivery (webhook, created_at) where state = 'parked';
create index delivery_finished on walpost.delivery (finished_at) where finished_at is not null;
create index delivery_event on walpost.delivery (event_id);
create index delivery_created on walpost.delivery (created_at, id);
comment on table walpost.delivery is 'Deliveries that were not over at the first attempt: (event, topic, webhook), each brought to a final state.';
comment on column walpost.delivery.id is 'The webhook-id of every attempt: UUIDv5 of event id, topic and webhook.';
comment on column walpost.delivery.state is 'pending, retrying: owed. parked: waits for its webhook to be enabled. delivered, failed, cancelled: final.';
comment on column walpost.delivery.attempts is 'Attempts of the running schedule; a replay starts it anew.';
comment on column walpost.delivery.due_at is 'When the next attempt may start. A claim moves it to the end of its lease.';
comment on column walpost.delivery.fence is 'Raised by each claim and replay; an outcome counts only under the fence it was claimed with.';

create table walpost.attempt (
    delivery_id uuid not null,
    event_id    text not null,
    topic       text not null,
    webhook     text not null,
    n           int not null,
    at          timestamptz not null,
    verdict     text not null,
    class       text not null,
    status      int,
    duration_ms float8 not null,
    excerpt     text,
    replica     text not null,
    sole        boolean not null default false
) partition by range (at);
create table walpost.attempt_default partition of walpost.attempt default;
create index attempt_delivery on walpost.attempt (delivery_id);
create index attempt_sole_event on walpost.attempt (event_id) where sole;
create index attempt_sole_at on walpost.attempt (at, delivery_id) where sole;
comment on table walpost.attempt is 'HTTP attempts, append-only, one partition per UTC day.';
comment on column walpost.attempt.n is 'Number of the attempt in its schedule, from 1; a replay starts at 1 again.';
comment on column walpost.attempt.at is 'When the outcome was known.';
comment on column walpost.attempt.status is 'HTTP status; null if there was no response.';
comment on column walpost.attempt.excerpt is 'Start of the response body, or what went wrong.';
comment on column walpost.attempt.replica is 'The daemon that made the attempt.';
comment on column walpost.attempt.sole is 'Delivered at the first attempt (kept by record = "all"): there is no row in walpost.delivery.';

create table walpost.webhook (
    name         text primary key,
    disabled_at  timestamptz,
    disabled_by  text,
    disabled_why text,
    updated_at   timestamptz not null
);
comment on table walpost.webhook is 'Run-time state of webhooks that were ever disabled; one without a row is enabled.';

create table walpost.incident (
    id          bigint generated always as identity primary key,
    kind        text not null,
    at          timestamptz not null,
    lsn_from    pg_lsn,
    lsn_to      pg_lsn,
    detail      text not null,
    resolved_at timestamptz
);
create index incident_open on walpost.incident (at) where resolved_at is null;
comment on table walpost.incident is 'Gaps in the stream, slots or publications lost, and how they were recovered.';

create table walpost.quarantine (
    id                  bigint generated always as identity primary key,
    event_id            text not null,
    rule                text not null,
    webhook             text not null,
    topic               text not null,
    diagnostic          text not null,
    at                  timestamptz not null,
    replay_requested_at timestamptz,
    leased_until        timestamptz,
    fence               bigint not null default 0,
    resolved_at         timestamptz,
    unique (event_id, rule, webhook, topic)
);
create index quarantine_requested on walpost.quarantine (replay_requested_at)
    where replay_requested_at is not null and resolved_at is null;
create index quarantine_open on walpost.quarantine (id) where resolved_at is null;
comment on table walpost.quarantine is 'Events that are no good rows, or that a rule could not be evaluated on. Kept until replayed or pruned once resolved.';
comment on column walpost.quarantine.rule is 'The rule that failed; empty if the row itself is bad.';
comment on column walpost.quarantine.replay_requested_at is 'Set by walpost replay: the daemon routes the event again.';
comment on column walpost.quarantine.leased_until is 'A daemon is routing the event again until then.';

-- Makes the partitions of today and the next days and drops those that are wholly older than what is to be kept. A
-- day for which the default partition has rows already stays there. Runs with its owner's rights, so that the
-- daemon's role needs none on the schema where the host runs the migrations.
create function walpost.roll_attempts(keep interval, ahead int) returns int
    language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    today   date := (walpost.now() at time zone 'UTC')::date;
    part    record;
    lower   timestamptz;
    upper   timestamptz;
    dropped int := 0;
begin
    if keep < interval '1 hour' then
        raise exception 'attempts are kept for an hour at least' using errcode = 'invalid_parameter_value';
    end if;
    if not pg_try_advisory_xact_lock(hashtext('walpost.roll_attempts')) then
        return 0; -- another daemon is at it
    end if;
    for i in 0..ahead loop
        lower := (today + i)::timestamp at time zone 'UTC';
        upper := (today + i + 1)::timestamp at time zone 'UTC';
        if to_regclass(format('walpost.%I', 'attempt_' || to_char(today + i, 'YYYYMMDD'))) is null
            and not exists (select from walpost.attempt_default where at >= lower and at < upper)
        then
            execute format('create table walpost.%I partition of walpost.attempt for values from (%L) to (%L)',
                'attempt_' || to_char(today + i, 'YYYYMMDD'), lower, upper);
        end if;
    end loop;
    for part in
        select c.relname as name, to_date(substr(c.relname, 9), 'YYYYMMDD') as day
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'walpost.attempt'::regclass and c.relname ~ '^attempt_[0-9]{8}$'
    loop
        if (part.day + 1)::timestamp at time zone 'UTC' <= walpost.now() - keep then
            execute format('drop table walpost.%I', part.name);
            dropped := dropped + 1;
        end if;
    end loop;
    return dropped;
end $$;
revoke all on function walpost.roll_attempts(interval, int) from public;
comment on function walpost.roll_attempts(interval, int) is 'Creates and drops the daily partitions of walpost.attempt; gives the number dropped.';

create view walpost.deliveries as
select id, event_id, topic, webhook, state, attempts,
    case when state in ('pending', 'retrying') then due_at end as due_at,
    last_status, last_class, last_verdict, created_at, updated_at, finished_at
from walpost.delivery
union all
select delivery_id, event_id, topic, webhook, 'delivered', n, null, status, class, verdict, at, at, at
from walpost.attempt where sole;
comment on view walpost.deliveries is 'All deliveries that walpost has a record of, first-attempt successes (record = "all") included.';

create view walpost.failing as
select d.webhook,
    count(*) filter (where d.state = 'pending') as pending,
    count(*) filter (where d.state = 'retrying') as retrying,
    count(*) filter (where d.state = 'parked') as parked,
    count(*) filter (where d.state = 'failed') as failed,
    min(d.created_at) as oldest,
    min(d.due_at) filter (where d.state in ('pending', 'retrying')) as next_due,
    (array_agg(d.last_class order by d.updated_at desc) filter (where d.last_class is not null))[1] as last_class,
    (array_agg(d.last_status order by d.updated_at desc) filter (where d.last_class is not null))[1] as last_status,
    max(d.updated_at) filter (where d.last_class is not null) as last_at,
    w.disabled_at, w.disabled_by, w.disabled_why
from walpost.delivery d
left join walpost.webhook w on w.name = d.webhook
where d.state in ('pending', 'retrying', 'parked', 'failed')
group by d.webhook, w.name;
comment on view walpost.failing is 'Webhooks that owe or failed deliveries: how many, since when, and what went wrong last.';

select walpost.roll_attempts(interval '7 days', 3);
