package ledger

// advice is what to do about an outage that somebody has to end, by SQLSTATE; the others end by themselves.
var advice = map[string]string{
	"25006": "the server or the role is read-only: connect to the primary, or reset default_transaction_read_only",
	"3F000": "restore schema walpost; or restart walpost, which makes it anew, without what was owed",
	"42501": "grant walpost's role what the head of `walpost init --sql` says",
	"42703": "schema walpost is not the one that this walpost made: restart it",
	"42P01": "restore schema walpost; or restart walpost, which makes it anew, without what was owed",
	"53100": "free disk space on the database server",
	"53300": "raise max_connections, or the connection limit of the role or the database: walpost needs up to 8",
	"55P03": "end the session that holds a lock on schema walpost: see pg_locks",
}
