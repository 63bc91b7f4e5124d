package cli

import (
	"context"
	"os"
	"reflect"
	"syscall"
	"testing"
)

func TestSignals(t *testing.T) {
	t.Parallel()
	const hup, end, term = syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM
	for name, c := range map[string]struct {
		hooked  bool
		signals []os.Signal
		want    []string
	}{
		"an ordinary command":          {false, []os.Signal{end, term}, []string{"cancel", "exit"}},
		"its terminal goes":            {false, []os.Signal{hup}, []string{"cancel"}},
		"run drains, aborts, exits":    {true, []os.Signal{term, end, end}, []string{"cancel", "abort", "exit"}},
		"run reloads, even in between": {true, []os.Signal{hup, end, hup, end}, []string{"reload", "cancel", "reload", "abort"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, not %v", got, c.want)
			}
			if !interrupted(ctx) {
				t.Error("the context does not say that it was interrupted")
			}
			if h.wasAborted() != (c.hooked && len(c.signals) > 2) {
				t.Errorf("wasAborted is %v", h.wasAborted())
			}
		})
	}
}
