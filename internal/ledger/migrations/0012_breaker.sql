-- Breakers are in each daemon's memory. These rows are for people who ask: they say which of them are open.
create table walpost.breaker (
    daemon    text not null,
    webhook   text not null,
    opened_at timestamptz not null,
    why       text not null,
    noted_at  timestamptz not null,
    primary key (daemon, webhook)
);
comment on table walpost.breaker is 'Webhooks whose endpoint seems dead to a daemon: it probes it, and the deliveries wait.';
comment on column walpost.breaker.daemon is 'Tag of the start of the daemon. Rows of one that is not running any more mean nothing.';
comment on column walpost.breaker.noted_at is 'When the daemon last said so. It does each hour.';
