package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// evaluate type-checks an expression and returns its value as far as it is known.
// ok is false if there was a problem, which is then reported, here or in a local.
func (l *loader) evaluate(expr hclsyntax.Expression, s scope) (value cty.Value, ok bool) {
	in := &inspector{loader: l, scope: s}
	// The inspector reports for itself, and never returns diagnostics.
	_ = hclsyntax.Walk(expr, in)
	if in.keyed {
		// What HCL says about keys would show them.
		return cty.DynamicVal, false
	}
	if in.endless {
		return cty.DynamicVal, false
	}
	value, diags := expr.Value(s.context(l.config.Functions))
	diags = append(diags, in.checkBodies()...)
	said := map[hcl.Range]string{}
	for _, d := range diags {
		if d.Subject != nil {
			if slices.ContainsFunc(in.found, d.Subject.Overlaps) || said[*d.Subject] == d.Summary {
				continue // the inspector has said it better, or it was said
			}
			said[*d.Subject] = d.Summary
		}
		if in.secrets && mayQuote(d) {
			d.Detail = "What is wrong with the value is not shown, because the expression calls env() or file()."
		}
		l.add(d)
	}
	return value, !diags.HasErrors() && len(in.found) == 0 && !in.failed
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
	loops   []loop      // `for` expressions around
	frames  []frame     // those of them that this is the inside of
	bodies  []body      // what evaluation doesn't see
	trying  int         // depth of try() and can() around
	found   []hcl.Range // where problems were reported
	secrets bool        // env() or file() is called
	keyed   bool        // … to make a key of an object
	endless bool        // evaluation would take too long
	failed  bool        // it is made of a local that has a problem
}

// Enter implements hclsyntax.Walker.
func (in *inspector) Enter(node hclsyntax.Node) hcl.Diagnostics {
	switch node := node.(type) {
	case hclsyntax.ChildScope:
		in.enterBody(node.Expr)
	case *hclsyntax.ScopeTraversalExpr:
		in.traversal(node.Traversal)
	case *hclsyntax.FunctionCallExpr:
		in.call(node)
	case *hclsyntax.ObjectConsKeyExpr:
		in.key(node)
	case *hclsyntax.ForExpr:
		in.loops = append(in.loops, loop{expr: node})
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
		in.frames = in.frames[:len(in.frames)-1]
	case *hclsyntax.ForExpr:
		in.loops = in.loops[:len(in.loops)-1]
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
	in.note(in.resolve(t))
	if b, bound := in.bound(name); bound {
		if len(b.from) == 1 && len(t) > 1 {
			in.field(rootEvent, b.value.Type(), t[1])
		}
		return
	}
	at := t[0].SourceRange()
	value, there := in.scope.roots[name]
	switch _, isField := webhookEvent.Type().AttributeTypes()[name]; {
	case there:
		in.use(name)
		if len(t) > 1 && value.Type().IsObjectType() {
			in.field(name, value.Type(), t[1])
		}
	case name == rootLocal && in.scope.locals != nil:
		in.local(t)
	case in.scope.absent[name] != "":
		in.report(at, fmt.Sprintf("No %s here", name), "%s", in.scope.absent[name])
	case len(in.scope.roots) == 0:
		in.report(at, "Unknown name", "There are no variables here. A text is written in quotes: %q.", name)
	case isField && in.scope.absent[rootEvent] == "":
		in.report(at, "Unknown variable", "There is no variable %q. Write event.%s.", name, name)
	default:
		in.report(at, "Unknown variable", "There is no variable %q. A text is written in quotes.%s",
			name, hint(name, append(slices.Collect(maps.Keys(in.scope.roots)), rootLocal), nil))
	}
}

// use notes what the expression needs of a scope.
func (in *inspector) use(name string) {
	if in.scope.uses != nil {
		in.scope.uses[name] = true
	}
}

// stepName returns the name of an attribute that a traversal takes, and its place.
func stepName(step hcl.Traverser) (name string, at hcl.Range, ok bool) {
	at = step.SourceRange()
	switch step := step.(type) {
	case hcl.TraverseAttr:
		at.Start.Byte++ // the dot
		at.Start.Column++
		return step.Name, at, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String && step.Key.IsKnown() && !step.Key.IsNull() {
			return step.Key.AsString(), at, true
		}
	}
	return "", at, false
}

// field checks the attribute of event or response that is named first.
func (in *inspector) field(root string, object cty.Type, step hcl.Traverser) {
	name, at, ok := stepName(step)
	if !ok {
		return
	}
	path := root + "." + name
	if why := in.scope.absent[path]; why != "" {
		in.report(at, fmt.Sprintf("No %s here", path), "%s", why)
		return
	}
	if object.HasAttribute(name) {
		in.use(path)
		return
	}
	fields := slices.Collect(maps.Keys(object.AttributeTypes()))
	more := ""
	if root == rootEvent {
		more = " What the row's payload has is under event.payload."
	}
	in.report(at, fmt.Sprintf("Unknown %s attribute %q", root, name), "There is no such attribute.%s%s", hint(name, fields, nil), more)
}

// local checks local.NAME, and that what it is made of is here. Where the name is computed,
// that goes for all of them.
func (in *inspector) local(t hcl.Traversal) {
	name, at := localName(t)
	if name == "" {
		for _, each := range in.scope.locals.names() {
			found, _ := in.scope.locals.find(each)
			in.useLocal(found, t.SourceRange())
		}
		return
	}
	found, _ := in.scope.locals.find(name)
	if found == nil {
		in.report(at, fmt.Sprintf("Unknown local %q", name), "No locals block that is seen from here has it.%s", hint(name, in.scope.locals.names(), nil))
		return
	}
	in.useLocal(found, at)
}

func (in *inspector) useLocal(l *local, at hcl.Range) {
	l.used = true
	in.secrets = in.secrets || l.uses[aSecret]
	in.failed = in.failed || l.failed
	if in.trying == 0 {
		in.paths = append(in.paths, l.paths...)
	}
	for _, use := range slices.Sorted(maps.Keys(l.uses)) {
		if why := in.scope.absent[use]; why != "" {
			in.report(at, fmt.Sprintf("No local.%s here", l.Name), "It is made of %s, declared at %s. %s", use, place(l.DeclRange), why)
			return
		}
		in.use(use)
	}
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
	if call.Name == captured {
		in.captured(call)
	}
	if !isReading(call) {
		return
	}
	in.secrets = true
	in.use(aSecret)
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
		if in.isSecret(node) {
			in.keyed = true
			in.report(key.Range(), "Secret as a name",
				"What env() and file() give is secret, and a name can't be. Write the name itself.")
		}
		return nil
	})
}

// isSecret reports whether a node is a call of env() or file(), or a local that is made
// of one.
func (in *inspector) isSecret(node hclsyntax.Node) bool {
	switch node := node.(type) {
	case *hclsyntax.FunctionCallExpr:
		return isReading(node)
	case *hclsyntax.ScopeTraversalExpr:
		if name, _ := localName(node.Traversal); name != "" && in.scope.locals != nil {
			found, _ := in.scope.locals.find(name)
			return found != nil && found.uses[aSecret]
		}
	}
	return false
}

// refuseSecret reports a value that is made of a secret where none may go.
func (l *loader) refuseSecret(value cty.Value, at hcl.Range, what string) bool {
	if !value.ContainsMarked() {
		return true
	}
	l.fail(at, "Secret where none may go",
		"What env() and file() give is secret, and %s is not kept secret. Write the value itself. Secrets may go into %s.", what, secretPlaces())
	return false
}

// captured checks that there is something to be captured.
func (in *inspector) captured(call *hclsyntax.FunctionCallExpr) {
	in.use(captured)
	if why := in.scope.absent[captured]; why != "" {
		in.report(call.NameRange, "No captured() here", "%s", why)
		return
	}
	if len(call.Args) == 0 {
		return // evaluation says so
	}
	value, diags := call.Args[0].Value(nil)
	if diags.HasErrors() || value.Type() != cty.String || value.IsNull() || !value.IsKnown() || in.broken {
		return
	}
	keeps, exists := in.captures[value.AsString()]
	switch at := call.Args[0].Range(); {
	case !exists:
		in.report(at, "Unknown webhook", "There is no webhook of this name.%s",
			didYouMean(suggest(value.AsString(), slices.Collect(maps.Keys(in.captures)))))
	case !keeps:
		in.report(at, "Webhook without capture", "This webhook keeps nothing of its answers. Give it a capture block, with a key and a value.")
	}
}
