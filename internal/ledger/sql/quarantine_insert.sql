-- Events that could not be read or routed. Index: quarantine_event_id_rule_webhook_topic_key.
-- A repeat renews the diagnostic; the new fence keeps a replay that led to it from resolving it.
insert into walpost.quarantine as q (event_id, rule, webhook, topic, diagnostic, at)
select event_id, rule, webhook, topic, diagnostic, walpost.now()
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
    as new (event_id, rule, webhook, topic, diagnostic)
on conflict (event_id, rule, webhook, topic) do update
set diagnostic = excluded.diagnostic,
    at = excluded.at,
    replay_requested_at = null,
    leased_until = null,
    resolved_at = null,
    fence = q.fence + 1
