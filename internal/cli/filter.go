package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/spf13/cobra"

	"github.com/walpost/walpost/internal/ledger"
)

// filterFlags select deliveries or quarantined events.
type filterFlags struct {
	webhook, topic, event string
	states                statesFlag
	since                 sinceFlag
	limit                 int
}

func (f *filterFlags) addTo(cmd *cobra.Command, a *app) {
	flags := cmd.Flags()
	flags.StringVar(&f.webhook, "webhook", "", "only those of this `WEBHOOK`")
	flags.StringVar(&f.topic, "topic", "", "only those of this `TOPIC`")
	flags.StringVar(&f.event, "event", "", "only those of the event with this `ID`")
	flags.Var(&f.states, "state", "only those in this `STATE`, or several: "+strings.Join(stateNames(), ", "))
	flags.Var(&f.since, "since", "only those recorded since `TIME`: 2h, 7d, a date, or an RFC 3339 time")
	// Registering only fails for a flag that isn't there.
	_ = cmd.RegisterFlagCompletionFunc("webhook", a.completeWebhooks)
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp))
}

// filter is what the flags say, as the ledger takes it.
func (f *filterFlags) filter() ledger.Filter {
	return ledger.Filter{
		EventID: f.event, Webhook: f.webhook, Topic: f.topic, States: f.states, Since: f.since.at, Limit: f.limit,
	}
}

// statesFlag is one or more states of deliveries, with commas between them.
type statesFlag []ledger.State

// Set implements pflag.Value.
func (f *statesFlag) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		state := ledger.State(strings.TrimSpace(name))
		if !slices.Contains(ledger.States(), state) {
			return fmt.Errorf("%q is no state.%s They are %s", name, didYouMean(name, stateNames()), strings.Join(stateNames(), ", "))
		}
		*f = append(*f, state)
	}
	return nil
}

// String implements pflag.Value.
func (f *statesFlag) String() string {
	names := make([]string, len(*f))
	for i, s := range *f {
		names[i] = string(s)
	}
	return strings.Join(names, ",")
}

// Type implements pflag.Value.
func (f *statesFlag) Type() string { return "STATE" }

func stateNames() []string {
	var names []string
	for _, s := range ledger.States() {
		names = append(names, string(s))
	}
	return names
}

// validID refuses what can't be the id of a delivery.
func validID(id string) error {
	var u pgtype.UUID
	if err := u.Scan(id); err != nil {
		return usage("walpost deliveries lists the ids", "%q is not the id of a delivery, which is a UUID", id)
	}
	return nil
}
