package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// scope is what an expression can refer to.
type scope struct {
	// event has the attributes of `event`; nil: there is no event.
	event map[string]cty.Value
	// elsewhere says of event attributes that there are only in other places why.
	elsewhere map[string]string
}

var (
	// settingScope is that of everything that is decided once, at load.
	settingScope = scope{}
	ruleScope    = scope{
		event: eventFields(),
		elsewhere: map[string]string{
			"topic": "A rule decides the topic, so that there is no event.topic here: it is in webhooks. event.type is the row's event type.",
			"data":  "A rule makes the data, so that there is no event.data here: it is in webhooks. event.payload is the row's payload.",
		},
	}
	webhookScope = scope{event: eventFields("topic", "data")}
)

// eventFields is an unknown event: the type of each attribute, and dynamic what is
// JSON. Every expression is evaluated against it at load.
func eventFields(more ...string) map[string]cty.Value {
	fields := map[string]cty.Value{}
	for _, name := range append(more, "id", "aggregate_type", "aggregate_id", "type", "created_at", "committed_at", "lsn", "payload", "headers") {
		switch name {
		case "payload", "headers", "data":
			fields[name] = cty.DynamicVal
		default:
			fields[name] = cty.UnknownVal(cty.String)
		}
	}
	return fields
}

func (s scope) context(functions map[string]function.Function) *hcl.EvalContext {
	variables := map[string]cty.Value{}
	if s.event != nil {
		variables["event"] = cty.ObjectVal(s.event)
	}
	return &hcl.EvalContext{Variables: variables, Functions: functions}
}

// evaluate type-checks an expression and returns its value as far as it is known.
// ok is false if there was a problem, which is then reported.
func (l *loader) evaluate(expr hclsyntax.Expression, s scope) (value cty.Value, ok bool) {
	in := &inspector{loader: l, scope: s}
	// The inspector reports for itself, and never returns diagnostics.
	_ = hclsyntax.Walk(expr, in)
	if in.keyed {
		// What HCL says about keys would show them.
		return cty.DynamicVal, false
	}
	value, diags := expr.Value(s.context(l.config.Functions))
	for _, d := range diags {
		if d.Subject != nil && slices.ContainsFunc(in.found, d.Subject.Overlaps) {
			continue // the inspector has said it better
		}
		if in.secrets && mayQuote(d) {
			d.Detail = "What is wrong with the value is not shown, because the expression calls env() or file()."
		}
		l.add(d)
	}
	return value, !diags.HasErrors() && len(in.found) == 0
}

// mayQuote reports whether HCL's message may have a value in it.
func mayQuote(d *hcl.Diagnostic) bool {
	call, isCall := d.Extra.(hclsyntax.FunctionCallDiagExtra)
	if isCall && call.FunctionCallError() != nil {
		return call.CalledFunctionName() != "env" && call.CalledFunctionName() != "file"
	}
	return d.Summary == "Duplicate object key"
}

// inspector walks an expression, reads what env() and file() name, and reports
// what it can explain better than evaluation does.
type inspector struct {
	*loader
	scope   scope
	locals  []map[string]struct{} // names of the `for` expressions around
	trying  int                   // depth of try() and can() around
	found   []hcl.Range           // where problems were reported
	secrets bool                  // env() or file() is called
	keyed   bool                  // … to make a key of an object
}

// Enter implements hclsyntax.Walker.
func (in *inspector) Enter(node hclsyntax.Node) hcl.Diagnostics {
	switch node := node.(type) {
	case hclsyntax.ChildScope:
		in.locals = append(in.locals, node.LocalNames)
	case *hclsyntax.ScopeTraversalExpr:
		in.traversal(node.Traversal)
	case *hclsyntax.FunctionCallExpr:
		in.call(node)
	case *hclsyntax.ObjectConsKeyExpr:
		in.key(node)
	case *hclsyntax.ForExpr:
		if node.KeyExpr != nil {
			in.key(node.KeyExpr)
		}
	}
	return nil
}

// Exit implements hclsyntax.Walker.
func (in *inspector) Exit(node hclsyntax.Node) hcl.Diagnostics {
	switch node := node.(type) {
	case hclsyntax.ChildScope:
		in.locals = in.locals[:len(in.locals)-1]
	case *hclsyntax.FunctionCallExpr:
		if isTry(node) {
			in.trying--
		}
	}
	return nil
}

func isTry(call *hclsyntax.FunctionCallExpr) bool { return call.Name == "try" || call.Name == "can" }

func (in *inspector) report(at hcl.Range, summary, format string, args ...any) {
	in.found = append(in.found, at)
	in.fail(at, summary, format, args...)
}

// traversal checks what a reference such as event.payload.contact begins with.
func (in *inspector) traversal(t hcl.Traversal) {
	name := t.RootName()
	for _, names := range in.locals {
		if _, local := names[name]; local {
			return
		}
	}
	at := t[0].SourceRange()
	switch _, isField := webhookScope.event[name]; {
	case in.scope.event == nil && name == "event":
		in.report(at, "No event here", "This is decided once, when the configuration is loaded, and can't depend on an event.")
	case in.scope.event == nil:
		in.report(at, "Unknown name", "There are no variables here. A text is written in quotes: %q.", name)
	case name != "event" && isField:
		in.report(at, "Unknown variable", "There is no variable %q. Write event.%s.", name, name)
	case name != "event":
		in.report(at, "Unknown variable", "There is no variable %q, only \"event\". A text is written in quotes.%s",
			name, didYouMean(suggest(name, []string{"event"})))
	case len(t) > 1:
		in.field(t[1])
	}
}

// field checks the attribute of event that is named first.
func (in *inspector) field(step hcl.Traverser) {
	var name string
	at := step.SourceRange()
	switch step := step.(type) {
	case hcl.TraverseAttr:
		name = step.Name
		at.Start.Byte++ // the dot
		at.Start.Column++
	case hcl.TraverseIndex:
		if step.Key.Type() != cty.String {
			return
		}
		name = step.Key.AsString()
	default:
		return
	}
	if _, ok := in.scope.event[name]; ok {
		return
	}
	if why := in.scope.elsewhere[name]; why != "" {
		in.report(at, "No event."+name+" here", "%s", why)
		return
	}
	fields := slices.Collect(maps.Keys(in.scope.event))
	in.report(at, fmt.Sprintf("Unknown event attribute %q", name),
		"An event has no such attribute.%s What the row's payload has is under event.payload.", hint(name, fields, nil))
}

// call checks a function's name and reads what env() and file() name.
func (in *inspector) call(call *hclsyntax.FunctionCallExpr) {
	if isTry(call) {
		in.trying++
	}
	if _, ok := in.config.Functions[call.Name]; !ok {
		why := unsupported[call.Name]
		if why == "" {
			names := slices.Collect(maps.Keys(in.config.Functions))
			why = fmt.Sprintf("There is no function of this name.%s", didYouMean(suggest(call.Name, names)))
		}
		in.report(call.NameRange, fmt.Sprintf("Unknown function %q", call.Name), "%s", why)
		return
	}
	if !isReading(call) {
		return
	}
	in.secrets = true
	if len(call.Args) == 0 {
		return // evaluation says so
	}
	value, diags := call.Args[0].Value(nil)
	if diags.HasErrors() || value.Type() != cty.String || value.IsNull() || !value.IsKnown() {
		in.report(call.Args[0].Range(), fmt.Sprintf("%s() needs a name in quotes", call.Name),
			"It is read once, when the configuration is loaded, so that its name can't be computed. Write for example %s.",
			map[string]string{"env": `env("CRM_SECRET")`, "file": `file("crm.secret")`}[call.Name])
		return
	}
	in.read(call, value.AsString())
}

func isReading(call *hclsyntax.FunctionCallExpr) bool {
	return call.Name == "env" || call.Name == "file"
}

func (in *inspector) read(call *hclsyntax.FunctionCallExpr, name string) {
	answers, read := in.reading.files, in.reading.readFile
	if call.Name == "env" {
		answers, read = in.reading.env, in.reading.readEnv
	}
	a := read(name)
	hasDefault := call.Name == "env" && len(call.Args) > 1
	if a.problem == "" || hasDefault || in.trying > 0 {
		return
	}
	if call.Name == "env" {
		in.report(call.Range(), "Missing environment variable",
			"The environment variable %s %s. Export it before walpost starts, or give a default: env(%q, \"…\").", name, a.problem, name)
	} else {
		in.report(call.Range(), "Unreadable file", "The file can't be used: %s. Its path is relative to the configuration's folder.", a.problem)
	}
	a.reported = true
	answers[name] = a
}

// key reports a key that is made of a secret: keys can't be kept secret.
func (in *inspector) key(key hclsyntax.Expression) {
	// The visitor never returns diagnostics.
	_ = hclsyntax.VisitAll(key, func(node hclsyntax.Node) hcl.Diagnostics {
		if call, ok := node.(*hclsyntax.FunctionCallExpr); ok && isReading(call) {
			in.keyed = true
			in.report(key.Range(), "Secret as a name",
				"What env() and file() give is secret, and a name can't be. Write the name itself.")
		}
		return nil
	})
}

// refuseSecret reports a value that is made of a secret where none may go.
func (l *loader) refuseSecret(value cty.Value, at hcl.Range, what string) bool {
	if !value.ContainsMarked() {
		return true
	}
	l.fail(at, "Secret where none may go",
		"What env() and file() give is secret, and %s is not kept secret. Write the value itself. "+
			"Secrets may go into database.url, database.replication_url, admin.token, sign.secret, sign.previous and a webhook's url, headers, body and body_params.", what)
	return false
}
