package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/walpost/walpost/internal/failpoint"
)

// errEnding: what a reload would begin, nobody would end.
var errEnding = errors.New("reload: the daemon is ending: the next start reads the configuration anew")

// Reload reads the configuration anew and puts it into force. All that can fail happens before the first running
// part is touched: on an error, which may be a *ConfigError, everything goes on as before. Deliveries that wait, and
// retries, go on under the new rules; those of a webhook that left the configuration stay owed in the ledger.
func (d *Daemon) Reload(ctx context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	err := d.reload(ctx)
	status := &ReloadStatus{At: time.Now()}
	if err != nil {
		status.Error = err.Error()
	}
	d.lastReload.Store(status)
	return err
}

func (d *Daemon) reload(ctx context.Context) error {
	if d.options.Load == nil {
		return errors.New("reload: this daemon was started without a way to read its configuration anew")
	}
	select {
	case <-d.prepared:
	default:
		return errors.New("reload: the daemon is still starting: try again in a moment")
	}
	if d.intake.Err() != nil {
		return errEnding
	}
	ctx, cancel := context.WithCancel(ctx) // the end waits for us, so the ledger must not keep us
	defer cancel()
	defer context.AfterFunc(d.intake, cancel)()
	d.seen = d.content() // before it is read: what changes meanwhile is a change
	cfg, diagnostics := d.options.Load()
	if diagnostics.HasErrors() {
		return &ConfigError{Files: cfg.Files, Diagnostics: diagnostics}
	}
	running := d.plan.Load()
	if err := fixed(running.config, cfg); err != nil {
		return err
	}
	next, err := d.newDraft(cfg, d.options.Version, running.queues)
	if err != nil {
		return err
	}
	if next.states, err = d.ledger.Webhooks(ctx); err != nil {
		d.seen = "" // this is not the content's fault: polling tries it again
		return err
	}
	failpoint.Hit(failpoint.ReloadChecked)
	retired := d.adopt(next)
	failpoint.Hit(failpoint.ReloadAdopted)
	for _, q := range retired {
		d.leaving.Store(q.name, q)
		d.retired.Go(func() {
			d.shutQueue(q, gateStopped)
			q.workers.Wait()
			d.leaving.CompareAndDelete(q.name, q)
			q.aimed().endpoint.Close()
		})
	}
	signal(d.wake)
	d.log.Info().Int(keyCount, len(cfg.Webhooks)).Msg("configuration reloaded")
	return nil
}
