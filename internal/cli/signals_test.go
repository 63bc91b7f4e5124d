package cli

import (
	"context"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSignals(t *testing.T) {
	t.Parallel()
	const hup, end, term = syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM
	for name, c := range map[string]struct {
		hooked  bool
		pause   time.Duration // between two signals
		signals []os.Signal
		want    []string
	}{
		"an ordinary command":          {false, echo, []os.Signal{end, end}, []string{"cancel", "exit"}},
		"its terminal goes":            {false, echo, []os.Signal{hup}, []string{"cancel"}},
		"run drains, aborts, exits":    {true, echo, []os.Signal{term, term, end}, []string{"cancel", "abort", "exit"}},
		"run reloads, even in between": {true, echo, []os.Signal{hup, end, hup, end}, []string{"reload", "cancel", "reload", "abort"}},
		"one wish, sent twice":         {true, echo / 2, []os.Signal{end, end}, []string{"cancel"}},
		"two wishes at once":           {true, 0, []os.Signal{end, term}, []string{"cancel", "abort"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got []string
				does := func(what string) func() { return func() { got = append(got, what) } }
				ctx, cancel := context.WithCancelCause(t.Context())
				h := newSignalHandler(func(cause error) { does("cancel")(); cancel(cause) })
				if c.hooked {
					h.hooks(does("abort"), does("reload"))
				}
				for _, s := range c.signals {
					if !h.handle(s) {
						does("exit")()
					}
					time.Sleep(c.pause)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%v, not %v", got, c.want)
				}
				if !interrupted(ctx) {
					t.Error("the context does not say that it was interrupted")
				}
				if h.wasAborted() != slices.Contains(c.want, "abort") {
					t.Errorf("wasAborted is %v", h.wasAborted())
				}
			})
		})
	}
}
