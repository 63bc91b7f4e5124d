-- States of those deliveries that are recorded. Indexes: attempt_delivery, delivery_pkey; the delivery's row comes last and counts.
select delivery_id, 'delivered' as state from walpost.attempt where delivery_id = any ($1::uuid[]) and sole
union all
select id, state from walpost.delivery where id = any ($1::uuid[])
