package config

import (
	"fmt"
	"slices"
	"strings"
)

// BlockDoc describes a kind of block, from the table that the loader reads.
type BlockDoc struct {
	Name        string // with the blocks around it: "webhook.auth.oauth2"; "" is the top level
	Header      string // as in HCL, such as `topic "invoice.paid"`; "" at the top level
	Description string // sentences
	Several     bool   // whether there may be several of it
	AnyName     bool   // whether its arguments can have any name, as those of `locals`
	Attributes  []AttributeDoc
	Blocks      []string // Names of the blocks that may be within it
}

// AttributeDoc describes an argument of a block.
type AttributeDoc struct {
	Name        string
	Type        string // as people call it, such as "list of strings"
	Default     string // HCL; "": there is none, or Description says which
	Example     string // HCL
	Sees        string // variables that its expression may use; "": it is decided at load
	Description string // sentences
	Required    bool
	Secret      bool // takes what env() and file() give, and keeps it secret
}

// Reference describes every block and argument there is, outer blocks before those
// within them.
func Reference() []BlockDoc { return describe(nil, topLevel) }

// describe appends the block of that key and those within it.
func describe(docs []BlockDoc, key string) []BlockDoc {
	s := shapes[key]
	doc := BlockDoc{Name: key, Description: s.doc, Several: s.several, AnyName: s.free, Blocks: within(key)}
	if key != topLevel {
		doc.Header = blockHeader(key)
	}
	for _, a := range s.arguments {
		doc.Attributes = append(doc.Attributes, AttributeDoc{
			Name: a.name, Type: a.is, Default: a.fallback, Example: a.example, Sees: a.sees,
			Description: a.doc, Required: a.required, Secret: a.secret,
		})
	}
	docs = append(docs, doc)
	for _, child := range doc.Blocks {
		docs = describe(docs, child)
	}
	return docs
}

// within returns the keys of the blocks within a block; of one that has kinds, those.
func within(key string) []string {
	s := shapes[key]
	if s.label == ofKind && len(s.arguments) == 0 {
		return kindsOf(key)
	}
	keys := make([]string, len(s.blocks))
	for i, name := range s.blocks {
		keys[i] = strings.TrimPrefix(key+"."+name, ".")
	}
	return keys
}

// kindsOf returns the keys of a block's kinds, sorted.
func kindsOf(key string) []string {
	var kinds []string
	for other := range shapes {
		if strings.HasPrefix(other, key+".") {
			kinds = append(kinds, other)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// blockHeader is the first line of a block of that key, without the brace.
func blockHeader(key string) string {
	parent, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		parent, name = key[:i], key[i+1:]
	}
	switch label := shapes[key].label; {
	case label == "":
		return name
	case label == ofKind && shapes[parent].label == ofKind:
		return fmt.Sprintf("%s %q", last(parent), name)
	default:
		return fmt.Sprintf("%s %q", name, exampleName(name))
	}
}

// secretPlaces says where secrets may go, in words.
func secretPlaces() string {
	var places, ofWebhook []string
	for _, doc := range Reference() {
		for _, a := range doc.Attributes {
			switch {
			case !a.Secret || doc.Name == "defaults" || strings.HasPrefix(doc.Name, "test") || strings.HasPrefix(doc.Name, "webhook.auth."):
			case doc.Name == "webhook":
				ofWebhook = append(ofWebhook, a.Name)
			default:
				places = append(places, last(doc.Name)+"."+a.Name)
			}
		}
	}
	slices.Sort(ofWebhook)
	return fmt.Sprintf("%s, an auth block, and a webhook's %s", strings.Join(places, ", "), andList(ofWebhook))
}
