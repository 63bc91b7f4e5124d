create table if not exists public.outbox (
  id             uuid primary key default gen_random_uuid(),
  aggregate_type text not null,
  aggregate_id   text not null,
  event_type     text not null,
  payload        jsonb not null,
  headers        jsonb,
  created_at     timestamptz not null default now(),
  walpost_xid    xid8 not null default pg_current_xact_id()
);
create index if not exists outbox_walpost_xid on public.outbox (walpost_xid, id);

-- Optional: latency of milliseconds, for a lock at each commit with new rows.
create or replace function public.walpost_notify() returns trigger language plpgsql as $$
begin
  perform pg_notify('walpost_outbox', '');
  return null;
end $$;
drop trigger if exists walpost_notify on public.outbox;
create trigger walpost_notify after insert on public.outbox for each statement execute function public.walpost_notify();
