package daemon

import (
	"context"
	"time"
)

// poll reloads when the configuration's content changes. Content that can't be used is reported once and stays in the
// status; it is not looked at again until it changes.
func (d *Daemon) poll(ctx context.Context) error {
	if d.options.Fingerprint == nil || d.options.PollEvery < 0 {
		return nil
	}
	ticker := time.NewTicker(d.options.PollEvery)
	defer ticker.Stop()
	reported := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if !d.changed(ctx) {
			continue
		}
		err := d.Reload(ctx)
		if ctx.Err() != nil {
			return nil
		}
		// The same again is a ledger that doesn't answer: content that was refused isn't read twice.
		if err != nil && err.Error() != reported {
			d.log.Error().Err(err).Str(keyTry, "walpost check").
				Msg("the configuration has changed and can't be used: the one before stays in force")
		}
		reported = ""
		if err != nil {
			reported = err.Error()
		}
	}
}

// changed reports whether the content differs from what was read last, and doesn't change any more: a file that is being
// written may be a valid configuration of which the end is missing.
func (d *Daemon) changed(ctx context.Context) bool {
	content := d.content()
	if content == d.lastContent() {
		return false
	}
	timer := time.NewTimer(min(settleTime, d.options.PollEvery))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	return d.content() == content && d.lastContent() != content
}

// settleTime is how long content must stay the same before it is read.
const settleTime = time.Second

// content is the fingerprint of the configuration as it is now. One that can't be read is content, too: reading it
// gives the problem that is to be reported.
func (d *Daemon) content() string {
	if d.options.Fingerprint == nil {
		return ""
	}
	content, err := d.options.Fingerprint()
	if err != nil {
		return err.Error()
	}
	return content
}

func (d *Daemon) lastContent() string {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	return d.seen
}
