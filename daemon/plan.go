package daemon

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// plan is all that a reload replaces, as one: what the configuration says and what was made of it.
type plan struct {
	config *config.Config
	table  *route.Table
	queues map[string]*queue // by webhook name; webhooks with enabled = false have none
}

// draft is a configuration of which all that can fail has been made, while nothing that runs was touched.
type draft struct {
	config  *config.Config
	table   *route.Table
	targets map[string]*target
	states  map[string]ledger.WebhookState // nil before the ledger is known: syncWebhooks follows then
}

// ConfigError carries the diagnostics of a configuration that can't be used.
type ConfigError struct {
	Files       map[string]*hcl.File
	Diagnostics hcl.Diagnostics
}

// Error says the first problem and how many there are.
func (e *ConfigError) Error() string { return "configuration: " + e.Diagnostics.Error() }

// newDraft compiles the rules and makes an endpoint for each enabled webhook; old endpoints whose settings are the
// same are kept, with their connections.
func (p *pipeline) newDraft(cfg *config.Config, version string, old map[string]*queue) (*draft, error) {
	table, diagnostics := route.Compile(cfg, route.WithCaptures(p.captured))
	if diagnostics.HasErrors() {
		return nil, &ConfigError{Files: cfg.Files, Diagnostics: diagnostics}
	}
	d := &draft{config: cfg, table: table, targets: map[string]*target{}}
	guard := sender.NewGuard(cfg.Egress.Allow, cfg.Egress.Deny)
	for _, w := range cfg.Webhooks {
		if !w.Enabled {
			continue
		}
		t := &target{webhook: w, url: urlSource(cfg, w), table: table, judges: table.Judges(w.Name), options: endpointOptions(w, guard, version)}
		if q, ok := old[w.Name]; ok && reflect.DeepEqual(q.aimed().options, t.options) {
			t.endpoint = q.aimed().endpoint
		} else if endpoint, err := sender.New(t.options); err != nil {
			return nil, fmt.Errorf("webhook %q: %w", w.Name, err)
		} else {
			t.endpoint = endpoint
		}
		d.targets[w.Name] = t
	}
	return d, nil
}

// urlSource is the webhook's URL as it is written.
func urlSource(cfg *config.Config, w *config.Webhook) string {
	at := w.URL.Range()
	if file := cfg.Files[at.Filename]; file != nil {
		return string(at.SliceBytes(file.Bytes))
	}
	return ""
}

// EndpointOptions are those with which a daemon of that version sends to the webhook, for who sends to it without one.
func EndpointOptions(cfg *config.Config, w *config.Webhook, version string) sender.Options {
	return endpointOptions(w, sender.NewGuard(cfg.Egress.Allow, cfg.Egress.Deny), version)
}

func endpointOptions(w *config.Webhook, guard *sender.Guard, version string) sender.Options {
	o := sender.Options{
		Timeout: w.Timeout, Retry: w.Retry, Success: w.Success, Permanent: w.Permanent,
		RetryOn: w.RetryOn, Auth: authOptions(w.Auth),
		Concurrency: w.Concurrency, UserAgent: "walpost/" + version, Guard: guard,
	}
	if w.Sign != nil {
		o.Secret, o.PreviousSecret = w.Sign.Secret.Reveal(), w.Sign.Previous.Reveal()
	}
	return o
}

// authOptions is the auth block as the sender takes it.
func authOptions(a *config.Auth) *sender.AuthOptions {
	if a == nil {
		return nil
	}
	return &sender.AuthOptions{
		Kind:     sender.AuthKind(a.Kind),
		Username: a.Username, Password: a.Password.Reveal(), Token: a.Token.Reveal(),
		TokenURL: a.TokenURL, ClientID: a.ClientID, ClientSecret: a.ClientSecret.Reveal(),
		Scopes: a.Scopes, Params: a.Params,
		Issuer: a.Issuer, Subject: a.Subject, Audience: a.Audience, PrivateKey: a.PrivateKey.Reveal(),
	}
}

// adopt puts a draft into force. Nothing in it can fail. Queues of webhooks that stay are kept with all that waits
// in them; those of webhooks that left are given back, to be emptied.
func (p *pipeline) adopt(d *draft) (left []*queue) {
	old := map[string]*queue{}
	if current := p.plan.Load(); current != nil {
		old = current.queues
	}
	next := &plan{config: d.config, table: d.table, queues: make(map[string]*queue, len(d.targets))}
	for name, t := range d.targets {
		q, ok := old[name]
		if !ok {
			q = newQueue(name, t, p.attempt, p.wake)
			q.crowd, q.budget = &p.crowd, p.budget
			if before, ok := p.leaving.Load(name); ok {
				q.succeed(before.(*queue))
			}
			if !d.states[name].DisabledAt.IsZero() {
				q.shut(gateDisabled)
			}
		} else if before := q.aim(t); before.endpoint != t.endpoint {
			before.endpoint.Close()
		}
		next.queues[name] = q
	}
	p.crowd.queues.Store(int64(len(next.queues)))
	p.plan.Store(next)
	for name, q := range old {
		if next.queues[name] == nil {
			left = append(left, q)
		}
	}
	return left
}

// fixed says which settings of the new configuration differ from the running one though they only take effect at
// a start, nil if none does.
func fixed(running, next *config.Config) error {
	var errs []error
	for _, s := range []struct {
		name string
		same bool
	}{
		{"database.url", running.Database.URL == next.Database.URL},
		{"database.replication_url", running.Database.ReplicationURL == next.Database.ReplicationURL},
		{"outbox.table and outbox.columns", running.Outbox.Table == next.Outbox.Table},
		{"outbox.mode", running.Outbox.Mode == next.Outbox.Mode},
		{"outbox.messages", running.Outbox.Messages == next.Outbox.Messages},
		{"outbox.poll_interval", running.Outbox.PollInterval == next.Outbox.PollInterval},
		{"outbox.slot", running.Outbox.Slot == next.Outbox.Slot},
		{"outbox.publication", running.Outbox.Publication == next.Outbox.Publication},
		{"ledger.record", running.Ledger.Record == next.Ledger.Record},
		{"admin", reflect.DeepEqual(running.Admin, next.Admin)},
	} {
		if !s.same {
			errs = append(errs, fmt.Errorf("%s has changed, which takes a restart: restart walpost, or undo that change and reload", s.name))
		}
	}
	return errors.Join(errs...)
}
