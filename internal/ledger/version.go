package ledger

// SchemaVersion is the version of schema walpost that this walpost works with: the number of its last migration.
func SchemaVersion() int { return len(migrations) }
