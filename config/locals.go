package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Local is a named expression of a `locals` block, `local.NAME` elsewhere. It is evaluated
// where it is used, with the event that is there. A webhook's locals see the webhook's
// and the top-level ones; a top-level local sees the top-level ones only.
type Local struct {
	Name string
	Expr hcl.Expression `json:"-"`

	DeclRange hcl.Range
}

// locals are those that an expression sees.
type locals struct {
	outer *locals // shadowed by own; nil: these are the top-level ones
	own   map[string]*local
}

// local is a Local with what was found out about it.
type local struct {
	Local
	expr  hclsyntax.Expression
	state localState
	value cty.Value
	// uses has the variables and functions that the scope of a use must have, such as
	// "event" and "event.topic".
	uses  map[string]bool
	alias payloadPath   // the path from an event that it stands for; nil: none
	paths []payloadPath // that it is made of
	used  bool
	// failed says that its value isn't known because of a problem, which was reported.
	failed bool
}

type localState int

const (
	localNew localState = iota
	localOpen
	localDone
)

// decodeLocals reads the top-level locals. They are checked, each once, before
// anything uses them.
func (l *loader) decodeLocals() {
	l.locals = &locals{own: map[string]*local{}}
	for _, src := range l.blocks["locals"] {
		l.readLocals(l.open(src), l.locals)
	}
	l.config.Locals = l.locals.list()
	l.seen = append(l.seen, l.locals)
	l.checkLocals(l.locals)
}

// ownLocals reads the locals of a webhook.
func (b *block) ownLocals() *locals {
	own := &locals{outer: b.locals, own: map[string]*local{}}
	for _, c := range b.children("locals") {
		b.readLocals(c, own)
	}
	b.seen = append(b.seen, own)
	b.checkLocals(own)
	return own
}

func (l *loader) readLocals(b *block, into *locals) {
	for _, attr := range attributesOf(b.src.Body) {
		if first := into.own[attr.Name]; first != nil {
			l.duplicate(attr.NameRange, first.DeclRange, fmt.Sprintf("local %q", attr.Name))
			continue
		}
		into.own[attr.Name] = &local{
			Local: Local{Name: attr.Name, Expr: attr.Expr, DeclRange: attr.NameRange},
			expr:  attr.Expr, value: cty.DynamicVal, uses: map[string]bool{},
		}
	}
}

// list returns the own ones, in the order of the source.
func (ls *locals) list() []Local {
	var list []Local
	for _, each := range ls.sorted() {
		list = append(list, each.Local)
	}
	return list
}

func (ls *locals) sorted() []*local {
	return slices.SortedFunc(maps.Values(ls.own), func(a, b *local) int {
		return cmp.Or(
			cmp.Compare(a.DeclRange.Filename, b.DeclRange.Filename),
			cmp.Compare(a.DeclRange.Start.Byte, b.DeclRange.Start.Byte),
		)
	})
}

// find returns the local of that name, nil if there is none, and the set that it is in.
func (ls *locals) find(name string) (*local, *locals) {
	for in := ls; in != nil; in = in.outer {
		if found := in.own[name]; found != nil {
			return found, in
		}
	}
	return nil, nil
}

func (ls *locals) names() []string {
	var names []string
	for in := ls; in != nil; in = in.outer {
		names = slices.AppendSeq(names, maps.Keys(in.own))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// value is the object that `local` stands for, as far as it is known at load.
func (ls *locals) value() cty.Value {
	values := map[string]cty.Value{}
	for in := ls; in != nil; in = in.outer {
		for name, each := range in.own {
			if _, shadowed := values[name]; !shadowed {
				values[name] = each.value
			}
		}
	}
	return cty.ObjectVal(values)
}

// scope is that of a local's own expression: all that any use may have.
func (ls *locals) scope() scope {
	return scope{
		roots:  map[string]cty.Value{rootEvent: webhookEvent, rootEvents: events},
		locals: ls,
		absent: map[string]string{rootResponse: noResponse},
	}
}

func (l *loader) checkLocals(ls *locals) {
	for _, each := range ls.sorted() {
		l.checkLocal(each, ls, nil)
	}
}

// checkLocal evaluates a local after those that it uses. path has those that led here.
func (l *loader) checkLocal(each *local, in *locals, path []*local) {
	switch each.state {
	case localDone:
		return
	case localOpen:
		l.cycle(each, path)
		return
	}
	each.state = localOpen
	for _, t := range each.expr.Variables() {
		name, _ := localName(t)
		names := []string{name}
		if name == "" && t.RootName() == rootLocal {
			names = in.names() // any, as the name is computed
		}
		for _, name := range names {
			next, of := in.find(name)
			if next == nil {
				continue
			}
			next.used = true // also if the local is part of a cycle, and isn't evaluated
			l.checkLocal(next, of, append(path, each))
		}
	}
	if each.state == localDone {
		return // part of a cycle, which was reported
	}
	each.state = localDone
	s := in.scope()
	s.uses = each.uses
	each.alias = (&inspector{loader: l, scope: s}).aliasOf(each.expr)
	before := l.paths
	l.paths = nil
	value, ok := l.evaluate(each.expr, s)
	if ok && weight(value) > maxLocal {
		l.fail(each.DeclRange, fmt.Sprintf("Local %q is too large", each.Name), "Its value has more than %s. Locals that repeat each other grow quickly.", formatSize(maxLocal))
		ok = false
	}
	if each.failed = !ok; ok {
		each.value = value
	}
	each.paths, l.paths = l.paths, before
}

// maxLocal bounds, in bytes, what locals can grow to when each repeats another.
const maxLocal = 256 << 10

// weight is about how many bytes a value takes, as far as it is known.
func weight(value cty.Value) int {
	value, _ = value.Unmark()
	switch {
	case !value.IsKnown() || value.IsNull():
		return 1
	case value.Type() == cty.String:
		return len(value.AsString()) + 1
	case !value.CanIterateElements():
		return 1
	}
	total := 1
	for it := value.ElementIterator(); it.Next(); {
		key, element := it.Element()
		total += weight(key) + weight(element)
	}
	return total
}

// cycle reports locals that are made of each other, and ends them.
func (l *loader) cycle(first *local, path []*local) {
	path = path[slices.Index(path, first):]
	var names strings.Builder
	for _, each := range path {
		each.state, each.failed = localDone, true
		fmt.Fprintf(&names, "local.%s → ", each.Name)
	}
	l.fail(first.DeclRange, "Locals made of each other", "%slocal.%s goes round in a circle. Write one of them without the others.", names.String(), first.Name)
}

// localName returns NAME of local.NAME and local["NAME"].
func localName(t hcl.Traversal) (name string, at hcl.Range) {
	if t.RootName() != rootLocal || len(t) < 2 {
		return "", hcl.Range{}
	}
	name, at, _ = stepName(t[1])
	return name, at
}

// unusedLocals warns of what nothing uses.
func (l *loader) unusedLocals() {
	if l.broken {
		return
	}
	for _, ls := range l.seen {
		for _, each := range ls.sorted() {
			if !each.used {
				l.warn(each.DeclRange, fmt.Sprintf("Unused local %q", each.Name), "Nothing refers to local.%s. Remove it, or use it.", each.Name)
			}
		}
	}
}
