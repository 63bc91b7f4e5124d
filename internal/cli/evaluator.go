package cli

import (
	stdbytes "bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/internal/ruletest"
	"github.com/walpost/walpost/outbox"
)

// evaluator evaluates expressions on one event at a time. It makes each the body of a webhook that it adds to the
// configuration, so that all is checked and evaluated as it is in a running daemon.
type evaluator struct {
	app     *app
	base    *config.Config
	sources map[string][]byte // of base
	folder  string            // of base, for file()
	probe   string            // name of the webhook that is added
	book    *ledger.Ledger    // nil until something is looked up in it

	row   *outbox.Row
	topic string // that the row is looked at with; empty: it has none
}

// inputName is the name of what was typed, in diagnostics.
const inputName = "<input>"

// scratch is the configuration to evaluate in where there is none.
const scratch = "database {\n  url = \"postgres://localhost\"\n}\n"

// open reads the configuration.
func (e *evaluator) open(a *app) error {
	e.app, e.sources = a, map[string][]byte{}
	switch _, err := a.locate(); {
	case errors.Is(err, errNoConfig):
		e.sources["<none>"] = []byte(scratch)
		cfg, diagnostics := config.Parse(e.sources, a.env())
		e.base = cfg
		if diagnostics.HasErrors() {
			return a.refuse(cfg.Files, diagnostics)
		}
	case err != nil:
		return err
	default:
		if e.base, err = a.load(); err != nil {
			return err
		}
		for name, file := range e.base.Files {
			if !stdbytes.Equal(file.Bytes, config.Gist()) { // the pack comes by itself
				e.sources[name] = file.Bytes
				e.folder = filepath.Dir(name)
			}
		}
	}
	for e.probe = "repl"; e.base.Webhook(e.probe) != nil; {
		e.probe += "_"
	}
	return nil
}

func (e *evaluator) close() {
	if e.book != nil {
		e.book.Close()
	}
}

// ledger opens the ledger when it is first needed.
func (e *evaluator) ledger(ctx context.Context) (*ledger.Ledger, error) {
	if e.book == nil {
		book, err := ledger.Open(ctx, ledger.Options{ConnString: e.base.Database.URL.Reveal()})
		if err != nil {
			return nil, err
		}
		e.book = book
	}
	return e.book, nil
}

func (e *evaluator) captured(ctx context.Context, webhook, key string) ([]byte, bool, error) {
	book, err := e.ledger(ctx)
	if err != nil {
		return nil, false, err
	}
	return capturesOf(book)(ctx, webhook, key)
}

// useEvent takes the row with that id, of the outbox table or the ledger.
func (e *evaluator) useEvent(ctx context.Context, id string) error {
	row, _, err := findEvent(ctx, e.base, e.ledger, id)
	if err != nil {
		return err
	}
	e.row, e.topic = row, ""
	return e.useTopic("")
}

// useSample takes a row that gives the topic, with the payload in the file or the topic's sample.
func (e *evaluator) useSample(topic, file string) error {
	if topic == "" {
		topic = "contact.tagged"
		if e.base.Topic(topic) == nil && len(e.base.Topics) > 0 {
			topic = e.base.Topics[0].Name
		}
	}
	declared, err := mustKnowTopic(e.base, topic)
	if err != nil {
		return err
	}
	payload, err := e.app.payloadFor(file, declared)
	if err != nil {
		return err
	}
	e.row, e.topic = sampleRow(declared, payload), topic
	return nil
}

// useTopic looks at the row with one of its topics; empty: the first.
func (e *evaluator) useTopic(topic string) error {
	topics := e.topics()
	if topic == "" {
		if len(topics) > 0 {
			e.topic = topics[0]
		}
		return nil
	}
	if !slices.Contains(topics, topic) {
		return usage(":topic lists its topics", "the event doesn't have the topic %q.%s", topic, didYouMean(topic, topics))
	}
	e.topic = topic
	return nil
}

// topics are those of the row, whether a webhook takes them or not.
func (e *evaluator) topics() []string {
	table, _, diagnostics := e.compile("null", "*")
	if diagnostics.HasErrors() {
		return nil
	}
	var topics []string
	deliveries, _ := table.Route(e.row)
	for _, d := range deliveries {
		if d.Webhook == e.probe {
			topics = append(topics, d.Topic)
		}
	}
	return topics
}

// about says which event it is.
func (e *evaluator) about() string {
	topic := e.topic
	if topic == "" {
		topic = "no topic"
	}
	return fmt.Sprintf("event %s: %s %s, %s", e.row.ID, e.row.AggregateType, e.row.Type, topic)
}

// before is what stands in the probe's source before the expression.
func (e *evaluator) before(topic string) string {
	return fmt.Sprintf("webhook %q {\n  topics = [%q]\n  url = \"http://localhost/\"\n  body = jsonencode(\n", e.probe, topic)
}

// compile makes a table with the probe.
func (e *evaluator) compile(expression, topic string) (*route.Table, *config.Config, hcl.Diagnostics) {
	sources := map[string][]byte{inputName: []byte(e.before(topic) + expression + "\n)\n}\n")}
	for name, source := range e.sources {
		sources[name] = source
	}
	cfg, diagnostics := config.Parse(sources, e.app.env(), config.WithFolder(e.folder))
	if diagnostics.HasErrors() {
		return nil, cfg, diagnostics
	}
	table, more := route.Compile(cfg, route.WithCaptures(e.captured))
	return table, cfg, append(diagnostics, more...)
}

// errUnevaluated says that what is wrong was shown already.
var errUnevaluated = &failure{code: exitFailure}

// evaluate gives the value of an expression as JSON. What is wrong with it, or may be, is written to out.
func (e *evaluator) evaluate(ctx context.Context, text string, out io.Writer, color bool) (string, error) {
	shown := map[string]*hcl.File{inputName: {Bytes: []byte(text)}}
	// It must be one expression by itself, and not end the block that it is put into.
	if _, diagnostics := hclsyntax.ParseExpression([]byte(text), inputName, hcl.InitialPos); diagnostics.HasErrors() {
		if err := config.WriteDiagnostics(out, shown, diagnostics, color); err != nil {
			return "", err
		}
		return "", errUnevaluated
	}
	topic := e.topic
	if topic == "" {
		topic = "*"
	}
	table, cfg, diagnostics := e.compile(text, topic)
	about := aboutInput(diagnostics, strings.Count(e.before(topic), "\n"))
	if diagnostics.HasErrors() && !about.HasErrors() {
		about, shown = diagnostics, cfg.Files // of the configuration itself
	}
	if err := config.WriteDiagnostics(out, shown, about, color); err != nil {
		return "", err
	}
	if diagnostics.HasErrors() {
		return "", errUnevaluated
	}
	delivery, _, problem := table.Find(e.row, e.topic, e.probe)
	if problem != nil {
		return "", failed("", "%s", problem.Error())
	}
	request, problem := table.Render(ctx, &delivery)
	if problem != nil && problem.Temporary {
		return "", notLookedUp(problem)
	}
	if problem != nil {
		return "", failed("", "%s: %s", problem.Summary, problem.Detail)
	}
	secrets := ruletest.NewSecrets(cfg)
	if secrets.InBody(e.probe) {
		return "(secret)", nil
	}
	return secrets.Hide(ruletest.PrettyJSON(request.Body)), nil
}

// aboutInput are the diagnostics about what was typed, with its own lines.
func aboutInput(diagnostics hcl.Diagnostics, before int) hcl.Diagnostics {
	var about hcl.Diagnostics
	for _, d := range diagnostics {
		if d.Subject == nil || d.Subject.Filename != inputName {
			continue
		}
		moved, at := *d, *d.Subject
		at.Start.Line, at.End.Line = max(at.Start.Line-before, 1), max(at.End.Line-before, 1)
		moved.Subject = &at
		about = append(about, &moved)
	}
	return about
}

// paths are the paths of the event that lead to something, for completion.
func (e *evaluator) paths() []string {
	paths := []string{
		"event.id", "event.topic", "event.aggregate_type", "event.aggregate_id", "event.type", "event.created_at",
		"event.committed_at", "event.lsn", "event.headers",
	}
	var payload any
	if json.Unmarshal(e.row.Payload, &payload) == nil {
		for _, root := range []string{"event.payload", "event.data"} {
			paths = appendPaths(paths, root, payload)
		}
	}
	return paths
}

func appendPaths(paths []string, at string, value any) []string {
	paths = append(paths, at)
	if object, ok := value.(map[string]any); ok {
		for name, member := range object {
			if hclsyntax.ValidIdentifier(name) {
				paths = appendPaths(paths, at+"."+name, member)
			}
		}
	}
	return paths
}
