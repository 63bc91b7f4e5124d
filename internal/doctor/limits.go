package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// usage is the document of usage.sql.
type usage struct {
	Slots               int64    `json:"slots"`
	Senders             int64    `json:"senders"`
	Connections         int64    `json:"connections"`
	RoleConnections     int64    `json:"role_connections"`
	RoleLimit           int64    `json:"role_limit"` // -1: none
	DatabaseConnections int64    `json:"database_connections"`
	DatabaseLimit       int64    `json:"database_limit"`
	IdleSlots           []string `json:"idle_slots"` // that nobody reads, but for ours
}

// usage asks for it, with the settings to compare it with.
func (x *exam) usage() (*usage, settings, error) {
	set, err := x.settings()
	if err != nil {
		return nil, nil, err
	}
	u, err := ask[usage](x, byReplication, "usage")
	return u, set, err
}

func slotsLeft(x *exam) ([]Finding, error) {
	u, set, err := x.usage()
	if err != nil {
		return nil, err
	}
	slot, err := x.slot()
	if err != nil {
		return nil, err
	}
	limit, _ := set.number("max_replication_slots")
	found := fmt.Sprintf("%d of %d in use", u.Slots, limit)
	if u.Slots < limit {
		return ok("%s", found)
	}
	f := Finding{
		Severity: Warning, Found: found,
		Why: "A lost slot can be made anew in its own place, but a standby of walpost or a migration would find none.",
		Fix: fmt.Sprintf("alter system set max_replication_slots = %d; -- then restart the server", max(10, limit*2)),
	}
	if slot == nil {
		f.Severity, f.Why = Stops, "walpost can't create its slot."
		if len(u.IdleSlots) > 0 {
			f.Fix = fmt.Sprintf("select pg_drop_replication_slot(%s); -- if nobody needs it, or: %s", literal(u.IdleSlots[0]), f.Fix)
		}
	}
	return one(f)
}

func sendersLeft(x *exam) ([]Finding, error) {
	u, set, err := x.usage()
	if err != nil {
		return nil, err
	}
	limit, _ := set.number("max_wal_senders")
	found := fmt.Sprintf("%d of %d in use", u.Senders, limit)
	if limit-u.Senders > 1 {
		return ok("%s", found)
	}
	return one(Finding{
		Severity: Warning, Found: found,
		Why: "walpost streams through one, and the next walpost, which takes over, needs one while the first still has its own.",
		Fix: fmt.Sprintf("alter system set max_wal_senders = %d; -- then restart the server", max(10, limit*2)),
	})
}

// neededConnections are what one daemon opens at most: four for the ledger, one that listens, the stream, and two for
// its setting up and a recovery.
const neededConnections = 8

func connectionsLeft(x *exam) ([]Finding, error) {
	u, set, err := x.usage()
	if err != nil {
		return nil, err
	}
	limit, _ := set.number("max_connections")
	for _, reserved := range []string{"superuser_reserved_connections", "reserved_connections"} {
		n, _ := set.number(reserved)
		limit -= n
	}
	s, err := x.server()
	if err != nil {
		return nil, err
	}
	f := Finding{Severity: Warning, Why: fmt.Sprintf("walpost opens up to %d.", neededConnections)}
	switch {
	case u.RoleLimit >= 0 && u.RoleLimit-u.RoleConnections < neededConnections:
		f.Found = fmt.Sprintf("%d of the %d that role %q may have are open", u.RoleConnections, u.RoleLimit, s.Role)
		f.Fix = fmt.Sprintf("alter role %s connection limit %d;", ident(s.Role), u.RoleConnections+2*neededConnections)
	case u.DatabaseLimit >= 0 && u.DatabaseLimit-u.DatabaseConnections < neededConnections:
		f.Found = fmt.Sprintf("%d of the %d that database %q may have are open", u.DatabaseConnections, u.DatabaseLimit, s.Database)
		f.Fix = fmt.Sprintf("alter database %s connection limit %d;", ident(s.Database), u.DatabaseConnections+2*neededConnections)
	case limit-u.Connections < neededConnections:
		f.Found = fmt.Sprintf("%d of %d are open", u.Connections, limit)
		f.Fix = "end sessions that are idle, put a pooler before the application, or raise max_connections and restart the server"
	default:
		return ok("%d of %d are open", u.Connections, limit)
	}
	return one(f)
}

// Bounds of what max_slot_wal_keep_size should keep.
const (
	leastKeptWAL   = 1 << 30
	leastKeptHours = 4
)

// slotKeepSize: the host's disk is safe from a walpost that is down, and its slot from an hour of traffic.
func slotKeepSize(x *exam) ([]Finding, error) {
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	kept, there := set.bytes("max_slot_wal_keep_size")
	rate, _ := ask[float64](x, byReplication, "wal_rate") // from 14 on
	lasts := ""
	if there && rate != nil && *rate > 0 && kept > 0 {
		lasts = fmt.Sprintf(", which lasts for %s at the average of %s/s", span(float64(kept) / *rate), size(int64(*rate)))
	}
	advice := int64(16 << 30)
	if rate != nil {
		advice = max(advice, int64(*rate*24*3600)>>30<<30)
	}
	fix := fmt.Sprintf("alter system set max_slot_wal_keep_size = '%dGB'; select pg_reload_conf(); -- or as much as the disk can spare", advice>>30)
	switch {
	case !there:
		return info("Before Postgres 13 nothing bounds the WAL that is kept for a walpost that is down.", "not known to this version")
	case kept < 0:
		return one(Finding{
			Severity: Warning, Found: "-1, no limit", Fix: fix,
			Why: "A walpost that is down for long lets WAL fill the disk, and stops the database. A lost slot is recovered from the table.",
		})
	case kept < leastKeptWAL || rate != nil && float64(kept) < *rate*leastKeptHours*3600:
		return one(Finding{
			Severity: Warning, Found: size(kept) + lasts, Fix: fix,
			Why: "The server gives the slot up when walpost is down for longer; then all rows since are read from the table, which takes that they are still there.",
		})
	}
	return ok("%s%s", size(kept), lasts)
}

func idleTimeout(x *exam) ([]Finding, error) {
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	seconds, there := set.seconds("idle_replication_slot_timeout")
	switch {
	case !there:
		return skipped("not known to this version")
	case seconds == 0:
		return ok("off")
	case seconds < 24*3600:
		return one(Finding{
			Severity: Warning, Found: span(seconds),
			Why: "The server gives the slot up when walpost is down for that long; then all rows since are read from the table, which takes that they are still there.",
			Fix: "alter system set idle_replication_slot_timeout = '2d'; select pg_reload_conf();",
		})
	}
	return info("The server gives the slot up when walpost is down for that long.", "%s", span(seconds))
}

func senderTimeout(x *exam) ([]Finding, error) {
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	seconds, _ := set.seconds("wal_sender_timeout")
	if seconds == 0 {
		return ok("off; walpost sets 30s for its own connection")
	}
	return ok("%s; walpost sets 30s for its own connection", span(seconds))
}

func walKeep(x *exam) ([]Finding, error) {
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	kept, there := set.bytes("wal_keep_size")
	if !there {
		return skipped("wal_keep_segments, not needed by a slot")
	}
	limit, _ := set.bytes("max_slot_wal_keep_size")
	if limit > 0 && kept > limit {
		return info("The server keeps that much anyway, so the slot has more than max_slot_wal_keep_size says.", "%s, more than max_slot_wal_keep_size", size(kept))
	}
	return ok("%s; a slot doesn't need it", size(kept))
}

// standbySlots: logical decoding waits for every slot that synchronized_standby_slots names.
func standbySlots(x *exam) ([]Finding, error) {
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	list, there := set.text("synchronized_standby_slots")
	switch {
	case !there:
		return skipped("synchronized_standby_slots is not known to this version")
	case list == "":
		return ok("synchronized_standby_slots is empty: decoding waits for no standby")
	}
	type document struct {
		Active   []string `json:"active"`
		Inactive []string `json:"inactive"`
	}
	slots, err := ask[document](x, byReplication, "standbys")
	if err != nil {
		return nil, err
	}
	var missing, inactive []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.Trim(strings.TrimSpace(name), `"`)
		switch {
		case slices.Contains(slots.Inactive, name):
			inactive = append(inactive, name)
		case !slices.Contains(slots.Active, name):
			missing = append(missing, name)
		}
	}
	const why = "Logical decoding stops until each of these standbys has what is sent: no event goes out."
	const fix = "start that standby, or take it out: alter system set synchronized_standby_slots = …; select pg_reload_conf();"
	switch {
	case missing != nil:
		return one(Finding{Severity: Stops, Found: "synchronized_standby_slots names slots that do not exist: " + some(missing), Why: why, Fix: fix})
	case inactive != nil:
		return one(Finding{Severity: Stops, Found: "synchronized_standby_slots names slots that no standby reads: " + some(inactive), Why: why, Fix: fix})
	}
	return ok("%s: all are read", list)
}
