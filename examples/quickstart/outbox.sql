-- The outbox: the application inserts, walpost follows. `walpost init` makes the same table.

create table if not exists public.outbox (
    id             uuid primary key default gen_random_uuid(),
    aggregate_type text not null,
    aggregate_id   text not null,
    event_type     text not null,
    payload        jsonb not null,
    headers        jsonb,
    created_at     timestamptz not null default now()
);
