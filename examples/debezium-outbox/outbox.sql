-- The table that Debezium's outbox event router follows by default. Nothing about it changes for walpost.

create table public.outboxevent (
    id            uuid primary key,
    aggregatetype varchar(255) not null,
    aggregateid   varchar(255) not null,
    type          varchar(255) not null,
    payload       jsonb not null
);
