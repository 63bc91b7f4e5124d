package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Database says how to reach the application's Postgres.
type Database struct {
	// URL is a connection string, as a URL or as key=value pairs, for the ledger.
	URL Secret
	// ReplicationURL is the one for the replication connection, which must not go
	// through a pooler. It is URL unless `replication_url` says otherwise.
	ReplicationURL Secret
}

// A connection string is not parsed here, as only the driver knows all its forms;
// but what is no connection string at all is told apart.
func isConnString(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://") || strings.Contains(s, "=")
}

func (l *loader) decodeDatabase() {
	b := l.one("database")
	if b == nil {
		if !l.broken {
			l.diags = append(l.diags, &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "Missing \"database\" block",
				Detail:   "walpost must know the database whose outbox it follows. Write:\n\n  database {\n    url = env(\"DATABASE_URL\")\n  }",
			})
		}
		return
	}
	url, ok := b.connString("url")
	if ok {
		l.config.Database = Database{URL: url, ReplicationURL: url}
	}
	if url, ok := b.connString("replication_url"); ok {
		l.config.Database.ReplicationURL = url
	}
}

func (b *block) connString(argument string) (Secret, bool) {
	url, ok := b.secret(argument)
	if ok && !isConnString(url.value.Reveal()) {
		b.failSecret(url.at, fmt.Sprintf("Invalid %q", argument),
			"It must be a Postgres connection string, such as \"postgres://user:password@host:5432/database\" or \"host=… dbname=…\".")
		return "", false
	}
	return url.value, ok
}
