-- What an application does: its change and the event that tells of it, in one transaction.

begin;

create table if not exists public.contacts (id bigint primary key, name text not null, tags text[] not null default '{}');
insert into public.contacts (id, name) values (7, 'Ada Lovelace') on conflict do nothing;

update public.contacts set tags = array['vip'] where id = 7;

insert into public.outbox (aggregate_type, aggregate_id, event_type, payload)
values ('contact', '7', 'contact.tagged',
        '{"contact": {"id": 7, "type": "lead", "name": "Ada Lovelace"}, "tag": {"name": "vip"}}');

commit;
