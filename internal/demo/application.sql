-- The sample application's own tables. Its outbox table stands beside them.

create table contacts (
    id                bigint generated always as identity (start with 146179) primary key,
    type              text not null check (type in ('user', 'lead')),
    user_id           text,
    name              text not null,
    email             text unique,
    source            text,
    unsubscribed      boolean not null default false,
    custom_properties jsonb not null default '{}',
    tags              jsonb not null default '[]',
    signed_up_at      bigint,
    created_at        bigint not null default extract(epoch from now())
);

create table conversations (
    id         bigint generated always as identity (start with 5001) primary key,
    contact_id bigint not null references contacts on delete cascade,
    title      text not null,
    state      text not null default 'open' check (state in ('open', 'closed', 'snoozed')),
    assignee   jsonb,
    created_at bigint not null default extract(epoch from now())
);

create table messages (
    id              bigint generated always as identity (start with 90001) primary key,
    conversation_id bigint not null references conversations on delete cascade,
    type            text not null check (type in ('reply', 'note')),
    author          jsonb not null,
    body            text not null,
    created_at      bigint not null default extract(epoch from now())
);

create table meetings (
    id         bigint generated always as identity (start with 301) primary key,
    contact_id bigint not null references contacts on delete cascade,
    title      text not null,
    status     text not null default 'scheduled' check (status in ('scheduled', 'cancelled')),
    start_at   bigint not null,
    end_at     bigint not null
);
