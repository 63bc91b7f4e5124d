// Package doctor looks at everything that walpost stands on: the server and its settings, the role, the publication, the
// slot, the outbox table and the ledger. It only reads, in short read-only transactions with timeouts, takes no lock but
// the one of every reader on the catalogs and on walpost's own tables, and goes on when the role may not see something.
//
// A check is a row of the table in checks.go: a name and a judge, which asks for documents. A document is one statement
// in sql/, which gives one JSON value.
package doctor

import (
	"context"
	"errors"

	"github.com/walpost/walpost/config"
)

// Options say what to examine.
type Options struct {
	// Config is the checked configuration. Required.
	Config *config.Config
	// Explain says of an error of the connection what the problem is and what to do. Nil: the error's text.
	Explain func(error) (problem, fix string)
}

// Examine makes all checks. Its error is the end of ctx, or a missing configuration; whatever else goes wrong is a
// finding.
func Examine(ctx context.Context, o Options) (Report, error) {
	if o.Config == nil {
		return Report{}, errors.New("examine: Config is required: load one with config.Load")
	}
	if o.Explain == nil {
		o.Explain = func(err error) (string, string) { return err.Error(), "" }
	}
	x := &exam{ctx: ctx, cfg: o.Config, explain: o.Explain, documents: map[string]document{}}
	x.connect()
	defer x.close()
	var report Report
	for _, c := range checks {
		if !x.applies(c) {
			continue
		}
		findings := x.make(c)
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
		report.Findings = append(report.Findings, findings...)
	}
	return report, nil
}
