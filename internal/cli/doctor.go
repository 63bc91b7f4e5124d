package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/doctor"
)

// doctorDocument is the document of walpost doctor -o json.
type doctorDocument struct {
	Format   int              `json:"format"`
	Worst    doctor.Severity  `json:"worst"`
	Findings []doctor.Finding `json:"findings"`
}

func (a *app) doctorCommand() *cobra.Command {
	var out output
	var quiet bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine server, role, publication, slot, table and ledger",
		Long: `Examine everything that walpost stands on, before its first start or at any time:
the server's settings and limits, the role, the publication, the slot, the outbox
table and the ledger. Each finding says why it matters and what puts it right.

Nothing is written, and no lock is taken that anybody could wait for. What the role
may not see is said to be unknown.

Exits with 4 if events are lost as things stand, or walpost can't run.`,
		Example: `  walpost doctor
  walpost doctor --quiet
  walpost doctor -o json | jq '.findings[] | select(.severity != "ok")'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			report, err := doctor.Examine(cmd.Context(), doctor.Options{Config: cfg, Explain: func(err error) (problem, fix string) {
				f := explain(err)
				return redact(f.problem), redact(f.fix)
			}})
			if err != nil {
				return err
			}
			document := doctorDocument{Format: admin.Format, Worst: report.Worst(), Findings: report.Findings}
			if err := out.write(a.Stdout, document, func() string { return doctorText(report, quiet) }); err != nil {
				return err
			}
			if report.Worst().Failed() {
				return &failure{code: exitCheck}
			}
			return nil
		},
	}
	out.addTo(cmd)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "only what is not as it should be")
	return cmd
}

// severityNames are severities as people read them.
var severityNames = map[doctor.Severity]string{
	doctor.OK: "ok", doctor.Info: "info", doctor.Unknown: "unknown", doctor.Warning: "warning",
	doctor.Stops: "stops walpost", doctor.Loses: "loses events",
}

// doctorText is the report for people.
func doctorText(r doctor.Report, quiet bool) string {
	severity, check := 0, 0
	for _, f := range r.Findings {
		severity, check = max(severity, len(severityNames[f.Severity])), max(check, len(f.Check))
	}
	var b strings.Builder
	for _, f := range r.Findings {
		if quiet && f.Severity == doctor.OK {
			continue
		}
		fmt.Fprintf(&b, "%-*s  %-*s  %s\n", severity, severityNames[f.Severity], check, f.Check, indent(f.Found, severity+check+4))
		if f.Why != "" {
			fmt.Fprintf(&b, "%*s%s\n", severity+2, "", f.Why)
		}
		if f.Fix != "" {
			fmt.Fprintf(&b, "%*sTry: %s\n", severity+2, "", indent(f.Fix, severity+7))
		}
	}
	b.WriteString("\n" + doctorSummary(r) + "\n")
	return b.String()
}

// doctorSummary counts what is not as it should be.
func doctorSummary(r doctor.Report) string {
	var counts []string
	for _, s := range []doctor.Severity{doctor.Loses, doctor.Stops, doctor.Warning, doctor.Unknown} {
		if n := r.Count(s); n > 0 {
			counts = append(counts, fmt.Sprintf("%d × %s", n, severityNames[s]))
		}
	}
	if counts == nil {
		return count(len(r.Findings), "finding") + ", all is well."
	}
	return count(len(r.Findings), "finding") + ": " + strings.Join(counts, ", ") + "."
}
