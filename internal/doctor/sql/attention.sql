-- What waits for a person in the ledger, and whether anybody works off what is due. Indexes: quarantine_open, incident_open,
-- delivery_due; disabled webhooks are a handful of rows.
select jsonb_build_object(
  'quarantined', (select count(*) from walpost.quarantine where resolved_at is null),
  'incidents', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'at', at, 'detail', detail) order by id), '[]')
                from walpost.incident where resolved_at is null and slot in (@slot, '')),
  'disabled', (select coalesce(jsonb_agg(name order by name), '[]') from walpost.webhook where disabled_at is not null),
  'overdue', (select extract(epoch from walpost.now() - min(due_at)) from walpost.delivery where state in ('pending', 'retrying'))
)
