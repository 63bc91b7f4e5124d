-- Settings by name, those that the server has. No index: a list in memory.
select jsonb_object_agg(s.name, jsonb_build_object(
  'value', s.setting, 'unit', coalesce(s.unit, ''), 'reset', s.reset_val, 'pending', s.pending_restart))
from pg_catalog.pg_settings s
where s.name in ('wal_level', 'max_replication_slots', 'max_wal_senders', 'max_connections', 'superuser_reserved_connections',
  'reserved_connections', 'max_slot_wal_keep_size', 'max_wal_size', 'idle_replication_slot_timeout', 'wal_sender_timeout',
  'wal_keep_size', 'wal_keep_segments', 'fsync', 'full_page_writes', 'synchronous_commit', 'default_transaction_read_only',
  'synchronized_standby_slots', 'synchronous_standby_names', 'autovacuum', 'max_prepared_transactions')
