package ledger

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/incident_insert.sql
	incidentInsertSQL string
	//go:embed sql/incident_resolve.sql
	incidentResolveSQL string
	//go:embed sql/incident_open.sql
	incidentOpenSQL string
	//go:embed sql/incident_bound.sql
	incidentBoundSQL string
	//go:embed sql/incident_settle.sql
	incidentSettleSQL string
	//go:embed sql/incidents.sql
	incidentsSQL string
)

// Adopted is the kind of the incident that stands for a change of the database: until the table is read, it is open.
const Adopted = "adopted"

// Incident is something that happened to the stream itself: a slot lost, a gap, a recovery.
type Incident struct {
	ID         int64     `json:"id"`
	Slot       string    `json:"slot,omitempty"` // whose stream; empty: unknown
	Kind       string    `json:"kind"`
	At         time.Time `json:"at"`                 // set by the database
	LSNFrom    uint64    `json:"lsn_from,omitempty"` // 0: unknown
	LSNTo      uint64    `json:"lsn_to,omitempty"`
	Detail     string    `json:"detail"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"` // zero: open
}

// RecordIncident records a new incident, of which Slot, Kind, LSNFrom, LSNTo and Detail count, and gives its number.
func (l *Ledger) RecordIncident(ctx context.Context, i Incident) (id int64, err error) {
	err = l.pool.QueryRow(ctx, incidentInsertSQL, i.Slot, i.Kind, lsn(i.LSNFrom).String(), lsn(i.LSNTo).String(),
		clean(i.Detail, maxDiagnostic)).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("record incident %s: %w", i.Kind, err)
	}
	return id, nil
}

// ResolveIncident ends an incident. Ending it twice is no error.
func (l *Ledger) ResolveIncident(ctx context.Context, id int64) error {
	if _, err := l.pool.Exec(ctx, incidentResolveSQL, id); err != nil {
		return fmt.Errorf("resolve incident %d: %w", id, err)
	}
	return nil
}

// Incidents lists incidents, newest first: all, or those that are open. A limit of 0 is 100.
func (l *Ledger) Incidents(ctx context.Context, open bool, limit int) ([]Incident, error) {
	rows, _ := l.pool.Query(ctx, incidentsSQL, open, (&Filter{Limit: limit}).limit())
	incidents, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Incident, error) {
		var i Incident
		var from, to lsn
		var resolved *time.Time
		err := row.Scan(&i.ID, &i.Slot, &i.Kind, &i.At, &from, &to, &i.Detail, &resolved)
		i.At, i.ResolvedAt = i.At.UTC(), timeOf(resolved)
		i.LSNFrom, i.LSNTo = uint64(from), uint64(to)
		return i, err
	})
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	return incidents, nil
}

// OpenIncident gives the newest unresolved incident of these kinds at a slot that isn't known to end at or below an LSN, or nil.
// LSN 0: one whose end isn't known.
func (l *Ledger) OpenIncident(ctx context.Context, slot string, kinds []string, beyond uint64) (*Incident, error) {
	i := Incident{Slot: slot}
	var from, to lsn
	err := l.pool.QueryRow(ctx, incidentOpenSQL, slot, kinds, lsn(beyond).String()).Scan(&i.ID, &i.Kind, &i.At, &from, &to, &i.Detail)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read open incidents of slot %q: %w", slot, err)
	}
	i.At, i.LSNFrom, i.LSNTo = i.At.UTC(), uint64(from), uint64(to)
	return &i, nil
}

// BoundIncidents says where all unresolved incidents of these kinds at a slot end, and adds to what they tell.
func (l *Ledger) BoundIncidents(ctx context.Context, slot string, kinds []string, to uint64, detail string) error {
	if _, err := l.pool.Exec(ctx, incidentBoundSQL, slot, kinds, lsn(to).String(), clean(detail, maxDiagnostic)); err != nil {
		return fmt.Errorf("bound incidents of slot %q: %w", slot, err)
	}
	return nil
}

// SettleIncidents resolves the incidents of these kinds at a slot that end at or below an LSN.
func (l *Ledger) SettleIncidents(ctx context.Context, slot string, kinds []string, upTo uint64) error {
	if _, err := l.pool.Exec(ctx, incidentSettleSQL, slot, kinds, lsn(upTo).String()); err != nil {
		return fmt.Errorf("settle incidents of slot %q: %w", slot, err)
	}
	return nil
}
