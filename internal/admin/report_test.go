package admin_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ledger"
)

var noon = time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC)

func TestReportJoinsConfigurationAndLedger(t *testing.T) {
	t.Parallel()
	r := admin.NewReport(admin.Source{Slot: "walpost"}, []admin.Webhook{{"crm", true}, {"new", true}, {"off", false}}, ledger.Status{
		Now:        noon,
		Checkpoint: &ledger.Checkpoint{LSN: 0x1_0000_00AB, Epoch: 3, UpdatedAt: noon.Add(-90 * time.Second), Counters: ledger.Counters{Events: 7}},
		Slot:       &ledger.SlotStatus{Active: true, WALStatus: "reserved", ConfirmedFlush: 0xAB, RetainedBytes: 5, LagBytes: 4},
		Webhooks: []ledger.WebhookCount{
			{Webhook: "crm", OldestDue: noon.Add(time.Minute), States: map[ledger.State]int64{
				ledger.Pending: 1, ledger.Retrying: 2, ledger.Failed: 3, ledger.Parked: 4, ledger.Delivered: 5,
			}},
			{Webhook: "done", States: map[ledger.State]int64{ledger.Delivered: 1}},
			{
				Webhook: "old", States: map[ledger.State]int64{ledger.Parked: ledger.CountLimit, ledger.Pending: 2},
				Uncounted: map[ledger.State]bool{ledger.Parked: true},
			},
		},
		Disabled: []ledger.WebhookState{{Name: "crm", DisabledAt: noon, Reason: ledger.Reason{By: "endpoint", Why: "410"}}},
		Breakers: []ledger.OpenBreaker{
			{Webhook: "crm", Since: noon, Why: "timeout", Daemon: "a:1"}, // it was disabled since
			{Webhook: "new", Since: noon, Why: "status 502", Daemon: "a:1"}, {Webhook: "new", Since: noon.Add(time.Second), Why: "timeout", Daemon: "b:1"},
		},
		Quarantined: 2,
		Incidents:   []ledger.Incident{{Kind: "slot-lost", Detail: "gone"}},
	})

	if c := r.Checkpoint; c.LSN != "1/AB" || c.AgeSeconds != 90 || r.Counters.Events != 7 {
		t.Errorf("checkpoint %+v, counters %+v", c, r.Counters)
	}
	if r.Slot.ConfirmedLSN != "0/AB" || !r.Slot.Exists || r.Slot.Name != "walpost" {
		t.Errorf("slot %+v", r.Slot)
	}
	type line struct {
		name                 string
		state                admin.WebhookState
		owed, failed, parked int64
	}
	var got []line
	for _, w := range r.Webhooks {
		got = append(got, line{w.Name, w.State, w.Owed, w.Failed, w.Parked})
	}
	want := []line{
		{"crm", admin.Disabled, 3, 3, 4}, {"new", admin.Probing, 0, 0, 0}, {"off", admin.Off, 0, 0, 0}, {"old", admin.Removed, 2, 0, ledger.CountLimit},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("webhooks\n%v\nnot\n%v", got, want)
	}
	attention := []string{
		`webhook "crm" is disabled`, `webhook "crm" has 3 failed`,
		`the endpoint of webhook "new" seems dead since 2025-01-31 12:00:00 (status 502): it is probed, and nothing else is sent until it answers`,
		`webhook "old" has left the configuration with 10002+ deliveries in the ledger`, "2 quarantined", "incident slot-lost: gone",
	}
	if !reflect.DeepEqual(r.Attention, attention) {
		t.Errorf("attention\n%q\nnot\n%q", r.Attention, attention)
	}
}

func TestReportAttendsToTheSlot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slot *ledger.SlotStatus
		want []string
	}{
		"none":       {nil, []string{`the replication slot "walpost" does not exist`}},
		"unread":     {&ledger.SlotStatus{WALStatus: "reserved"}, []string{`no daemon reads the replication slot "walpost", for which the server keeps WAL`}},
		"unreserved": {&ledger.SlotStatus{Active: true, WALStatus: "unreserved"}, []string{`the server drops WAL that the replication slot "walpost" needs: wal_status is unreserved`}},
		"well":       {&ledger.SlotStatus{Active: true, WALStatus: "extended"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := admin.NewReport(admin.Source{Slot: "walpost"}, nil, ledger.Status{Slot: c.slot}); !reflect.DeepEqual(r.Attention, c.want) {
				t.Errorf("%q, not %q", r.Attention, c.want)
			}
		})
	}
}

// An empty list is [] and not null, so that programs can loop over it.
func TestEmptyReport(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(admin.NewReport(admin.Source{Slot: "s"}, nil, ledger.Status{Now: noon}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"format":1,"at":"2025-01-31T12:00:00Z","source":{"mode":"stream"},"slot":{"name":"s","exists":false,"active":false,"wal_status":"","retained_bytes":0,` +
		`"lag_bytes":0,"confirmed_lsn":""},"checkpoint":null,"daemons":[],"counters":{"events":0,"delivered":0,"retried":0,"failed":0,"parked":0,` +
		`"quarantined":0,"unrouted":0,"duplicates":0,"cancelled":0,"pruned":0},"webhooks":[],"quarantined":0,"incidents":[],` +
		`"attention":["the replication slot \"s\" does not exist"]}`
	if string(text) != want {
		t.Errorf("got\n%s\nnot\n%s", text, want)
	}
}

func TestReportHasTheDaemons(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := admin.NewReport(admin.Source{Slot: "s"}, nil, ledger.Status{
		Now:        at,
		Checkpoint: &ledger.Checkpoint{Epoch: 7, EpochAt: at.Add(-time.Hour)},
		Peers: []ledger.Peer{
			{Title: ledger.Title{Name: "a:1", Version: "v1"}, Leads: true, Since: at.Add(-2 * time.Hour), Seen: at.Add(-4 * time.Second), Now: at},
			{Title: ledger.Title{Name: "b:1", Version: "v2"}, Since: at.Add(-time.Minute), Now: at},
		},
	})
	want := []admin.DaemonReport{
		{Name: "a:1", Role: admin.Leader, Version: "v1", Epoch: 7, Since: at.Add(-time.Hour), SilentSeconds: 4},
		{Name: "b:1", Role: admin.Standby, Version: "v2", Since: at.Add(-time.Minute)},
	}
	if !slices.Equal(r.Daemons, want) {
		t.Errorf("got %+v, want %+v", r.Daemons, want)
	}
}
