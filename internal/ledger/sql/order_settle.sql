-- Of the given keys ($1, $2: webhook, key) lets the earliest owed delivery out, if none is out. One that is out and
-- that nobody attempts steps back behind an earlier one, with its due time: after a crash that may be recorded later. Who calls has locked the webhooks.
-- Indexes: delivery_order, delivery_pkey.
with place as materialized (
    select o.id as out_id, h.id as next_id
    from (select distinct webhook, key from unnest($1::text[], $2::text[]) as t (webhook, key)) t
    cross join lateral (
        select d.id, d.order_lsn, d.order_n
        from walpost.delivery d
        where d.webhook = t.webhook and d.order_key = t.key and d.held and d.state in ('pending', 'retrying')
        order by d.order_lsn, d.order_n, d.id
        limit 1
    ) h
    left join lateral (
        select d.id, d.order_lsn, d.order_n, coalesce(d.leased_until > walpost.now(), false) as busy
        from walpost.delivery d
        where d.webhook = t.webhook and d.order_key = t.key and not d.held and d.state in ('pending', 'retrying')
        order by d.order_lsn, d.order_n, d.id
        limit 1
    ) o on true
    where o.id is null or not o.busy and (h.order_lsn, h.order_n, h.id) < (o.order_lsn, o.order_n, o.id)
)
update walpost.delivery d
set held = d.id = any (array(select out_id from place where out_id is not null)),
    due_at = case
        when not d.held then d.due_at
        when d.due_at = 'infinity' then walpost.now()
        else greatest(d.due_at, walpost.now())
    end
where d.id = any (array(select next_id from place union all select out_id from place where out_id is not null))
