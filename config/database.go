package config

// Database says how to reach the application's Postgres.
type Database struct {
	// URL is a connection string, as a URL or as key=value pairs, for the ledger.
	URL Secret
	// ReplicationURL is the one for the replication connection, which must not go
	// through a pooler. It is URL unless `replication_url` says otherwise.
	ReplicationURL Secret
}
