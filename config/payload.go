package config

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

//go:embed objects.json
var objectsJSON []byte

// schema is what the payloads of the built-in topics have, as far as it is known. A
// type is "" for a text, number or bool, "*" for what may have anything within, an
// object's name, or that and "[]" for a list of such objects.
//
// objects.json is made of the Gist object schema and topics by a test, with -update.
type schema struct {
	Objects map[string]map[string]string `json:"objects"` // type of each field, by the object's name
	Topics  map[string]map[string]string `json:"topics"`  // type of each top-level key, by topic
}

const anything = "*"

// builtinSchema is read once; a test makes sure that it can be.
var builtinSchema = sync.OnceValue(func() (s schema) {
	if err := json.Unmarshal(objectsJSON, &s); err != nil {
		return schema{}
	}
	return s
})

// payloadPath is a path from an event or a response: "event", "data", "contact", "email".
// An element of a list is the step "[]"; one of `events` is "event".
type payloadPath []pathStep

type pathStep struct {
	name string
	at   hcl.Range
}

const anElement = "[]"

// maxNames is how many names a warning lists.
const maxNames = 30

// resolve returns where a reference leads in an event or response; nil if in neither. Variables of
// `for`s and locals that stand for a path are looked through.
func (in *inspector) resolve(t hcl.Traversal) payloadPath {
	name := t.RootName()
	if b, ok := in.bound(name); ok {
		if b.from == nil {
			return nil
		}
		return b.from.with(t[1:])
	}
	switch name {
	case rootEvent:
		return payloadPath{{name: rootEvent, at: t[0].SourceRange()}}.with(t[1:])
	case rootResponse:
		return payloadPath{{name: rootResponse, at: t[0].SourceRange()}}.with(t[1:])
	case rootEvents:
		if len(t) > 1 {
			if _, ok := t[1].(hcl.TraverseIndex); ok {
				return payloadPath{{name: rootEvent, at: t[0].SourceRange()}}.with(t[2:])
			}
		}
	case rootLocal:
		if in.scope.locals == nil {
			return nil
		}
		name, _ := localName(t)
		if found, _ := in.scope.locals.find(name); found != nil && found.alias != nil {
			return found.alias.with(t[2:])
		}
	}
	return nil
}

// elementOf is resolve for an element of what the reference leads to.
func (in *inspector) elementOf(t hcl.Traversal) payloadPath {
	if _, shadowed := in.bound(rootEvents); t.RootName() == rootEvents && len(t) == 1 && !shadowed {
		if _, there := in.scope.roots[rootEvents]; there {
			return payloadPath{{name: rootEvent, at: t[0].SourceRange()}}
		}
	}
	if path := in.resolve(t); len(path) > 1 {
		return append(slices.Clone(path), pathStep{name: anElement, at: t.SourceRange()})
	}
	return nil
}

// with returns the path with further steps; it ends where one is computed.
func (p payloadPath) with(steps hcl.Traversal) payloadPath {
	path := slices.Clone(p)
	for _, step := range steps {
		if name, at, ok := stepName(step); ok {
			path = append(path, pathStep{name: name, at: at})
			continue
		}
		if index, ok := step.(hcl.TraverseIndex); !ok || index.Key.Type() != cty.Number {
			break
		}
		path = append(path, pathStep{name: anElement, at: step.SourceRange()})
	}
	return path
}

// note keeps a path for checkPaths, unless the author says that it may lead nowhere.
func (in *inspector) note(path payloadPath) {
	if len(path) > 2 && path[0].name == rootEvent && in.trying == 0 && (path[1].name == "data" || path[1].name == "payload") {
		in.paths = append(in.paths, path)
	}
}

// aliasOf returns the path that an expression is, nil if it is none.
func (in *inspector) aliasOf(expr hclsyntax.Expression) payloadPath {
	if t, ok := expr.(*hclsyntax.ScopeTraversalExpr); ok {
		return in.resolve(t.Traversal)
	}
	return nil
}

// checkPaths warns of paths that no payload of the webhook's topics has, as far as the
// schema knows. Topics of the user's own, and those that a rule gives, may have anything.
func (l *loader) checkPaths(w *Webhook, paths []payloadPath) {
	var topics []map[string]string
	for _, topic := range l.config.Topics {
		if !w.takes(topic.Name) {
			continue
		}
		keys := builtinSchema().Topics[topic.Name]
		if keys == nil || !topic.Builtin || slices.ContainsFunc(l.config.Rules, func(r *Rule) bool { return r.Topic == topic.Name }) {
			return
		}
		topics = append(topics, keys)
	}
	if len(topics) == 0 {
		return
	}
	for _, path := range paths {
		l.checkPath(path[1:], topics)
	}
}

// takes reports whether the webhook asks for the topic.
func (w *Webhook) takes(topic string) bool {
	return slices.ContainsFunc(w.Topics, func(pattern string) bool { return MatchTopic(pattern, topic) })
}

// checkPath follows a path, which begins with payload or data, in all topics at once.
func (l *loader) checkPath(path payloadPath, topics []map[string]string) {
	fields := topics
	for i, step := range path[1:] {
		var types []string
		for _, of := range fields {
			if t, ok := of[step.name]; ok {
				types = append(types, t)
			}
		}
		switch {
		case slices.Contains(types, anything):
			return
		case len(types) == 0 && step.name == anElement:
			return // an index into what is no list
		case len(types) == 0:
			l.unknownPath(path[:i+1], step, fields)
			return
		}
		fields = nil
		for _, t := range types {
			if element, isList := strings.CutSuffix(t, anElement); isList {
				fields = append(fields, map[string]string{anElement: element})
			} else {
				fields = append(fields, builtinSchema().Objects[t])
			}
		}
	}
}

func (l *loader) unknownPath(known payloadPath, step pathStep, topics []map[string]string) {
	var names []string
	for _, fields := range topics {
		names = slices.AppendSeq(names, maps.Keys(fields))
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == anElement })
	meant := didYouMean(suggest(step.name, names))
	if meant == "" && len(names) <= maxNames {
		meant = hint(step.name, names, nil)
	}
	l.warn(step.at, fmt.Sprintf("Unknown path %q", "event."+known.String()+"."+step.name),
		"No payload of the webhook's topics has %q, as far as their schema is known, and the path would be null.%s If yours have it, say that it may be missing: try(…, null).",
		step.name, meant)
}

// String joins the steps with dots.
func (p payloadPath) String() string {
	names := make([]string, len(p))
	for i, step := range p {
		names[i] = step.name
	}
	return strings.ReplaceAll(strings.Join(names, "."), "."+anElement, anElement)
}
