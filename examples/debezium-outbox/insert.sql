insert into public.outboxevent (id, aggregatetype, aggregateid, type, payload)
values ('406c07f3-26f0-4eea-a50c-109940064b8f', 'Order', '123', 'OrderCreated',
        '{"orderId": 123, "customer": {"email": "ada@example.com"}, "total": 49.90}');
