package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// block reads one block. Readers return ok = false for an argument that isn't
// there and for one that is wrong, which they report.
type block struct {
	*loader
	kind string // key of shapes
	name string // label
	src  *hclsyntax.Block
}

// open checks what a top-level block has against its shape.
func (l *loader) open(src *hclsyntax.Block) *block {
	b := &block{loader: l, kind: src.Type, src: src}
	b.checkLabels()
	b.checkContent()
	return b
}

// nested opens the block of that type within b; nil if there is none.
func (b *block) nested(kind string) *block {
	var first *block
	for _, src := range b.src.Body.Blocks {
		if src.Type != kind {
			continue
		}
		if first != nil {
			b.duplicate(src.DefRange(), first.src.DefRange(), fmt.Sprintf("%q block", kind))
			continue
		}
		first = b.child(src)
	}
	return first
}

// children opens each of the blocks of that type within b.
func (b *block) children(kind string) []*block {
	var all []*block
	for _, src := range b.src.Body.Blocks {
		if src.Type == kind {
			all = append(all, b.child(src))
		}
	}
	return all
}

// child opens a block within b. The label of a block that has kinds, such as
// auth "basic", chooses its shape.
func (b *block) child(src *hclsyntax.Block) *block {
	c := &block{loader: b.loader, kind: b.kind + "." + src.Type, src: src}
	c.checkLabels()
	if shapes[c.kind].label == ofKind {
		c.chooseKind()
	}
	c.checkContent()
	return c
}

func (b *block) chooseKind() {
	kind := b.kind + "." + b.name
	if _, ok := shapes[kind]; ok {
		b.kind = kind
		return
	}
	if len(b.src.Labels) == 0 {
		return // which was reported
	}
	kinds := kindsOf(b.kind)
	for i, k := range kinds {
		kinds[i] = last(k)
	}
	b.fail(b.src.LabelRanges[0], fmt.Sprintf("Unknown kind of %q", b.src.Type), "It must be %s.%s", orList(kinds), didYouMean(suggest(b.name, kinds)))
}

func (b *block) checkContent() {
	allowed := shapes[b.kind]
	if allowed.label == ofKind && len(allowed.arguments) == 0 {
		return // its kind is unknown, which was reported
	}
	for _, attr := range attributesOf(b.src.Body) {
		if _, ok := allowed.argument(attr.Name); !ok && !allowed.free {
			b.unsupportedAttribute(attr, b.kind)
		}
	}
	for _, child := range b.src.Body.Blocks {
		if !slices.Contains(allowed.blocks, child.Type) {
			b.unsupportedBlock(child, b.kind)
		}
	}
	for _, a := range allowed.arguments {
		if a.required && b.argument(a.name) == nil {
			b.missing(b.src.DefRange(), fmt.Sprintf("Missing argument %q", a.name),
				"This %q block needs %s. Write for example: %s = %s", b.src.Type, a.name, a.name, a.example)
		}
	}
}

func (b *block) checkLabels() {
	labels, want := b.src.Labels, shapes[b.kind].label
	switch {
	case want == "" && len(labels) > 0:
		b.fail(b.src.LabelRanges[0], fmt.Sprintf("Label on %q block", b.src.Type),
			"There is one %q block, without a label. Write: %s { … }", b.src.Type, b.src.Type)
	case want != "" && len(labels) == 0:
		b.fail(b.src.TypeRange, fmt.Sprintf("Missing name of %q block", b.src.Type),
			"Write: %s \"%s\" { … }", b.src.Type, exampleName(b.src.Type))
	case len(labels) > 1:
		b.fail(b.src.LabelRanges[1], fmt.Sprintf("More than one name of %q block", b.src.Type),
			"Write one: %s %q { … }", b.src.Type, labels[0])
	}
	if len(labels) > 0 {
		b.name = labels[0]
	}
}

func exampleName(kind string) string {
	switch kind {
	case "auth":
		return "oauth2"
	case "test":
		return "a tag reaches the crm"
	case "topic":
		return "invoice.paid"
	case "rule":
		return "vip_lead"
	default:
		return "crm"
	}
}

// labelForm is the form of rule and webhook names. They appear in logs, metrics,
// commands and URLs of the admin API.
var labelForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// checkName checks a rule's or webhook's name and that it isn't taken.
func (b *block) checkName(taken map[string]hcl.Range) {
	if len(b.src.Labels) == 0 {
		return
	}
	at := b.src.LabelRanges[0]
	if !labelForm.MatchString(b.name) {
		b.fail(at, fmt.Sprintf("Invalid %s name", b.src.Type),
			"A %s name has 1 to 63 lower-case letters, digits, \"_\" and \"-\", and begins with a letter or digit, like %q.",
			b.src.Type, exampleName(b.src.Type))
	}
	if first, again := taken[b.name]; again {
		b.duplicate(b.src.DefRange(), first, fmt.Sprintf("%s %q", b.src.Type, b.name))
		return
	}
	taken[b.name] = b.src.DefRange()
}

// argument returns an argument, or nil.
func (b *block) argument(name string) *hclsyntax.Attribute { return b.src.Body.Attributes[name] }

func (l *loader) unsupportedAttribute(attr *hclsyntax.Attribute, kind string) {
	allowed := shapes[kind]
	if slices.Contains(allowed.blocks, attr.Name) {
		l.fail(attr.NameRange, fmt.Sprintf("%q is a block", attr.Name),
			"Write it without the equals sign: %s { … }", header(attr.Name))
		return
	}
	if kind == topLevel {
		suggestion := suggest(attr.Name, slices.Concat(allowed.names(), allowed.blocks))
		l.fail(attr.NameRange, fmt.Sprintf("Unsupported argument %q", attr.Name),
			"Outside of blocks there is only rules = \"gist\" or rules = \"none\".%s", didYouMean(suggestion))
		return
	}
	l.fail(attr.NameRange, fmt.Sprintf("Unsupported argument %q", attr.Name),
		"The %q block has no argument of this name.%s", last(kind), hint(attr.Name, allowed.names(), allowed.blocks))
}

func (l *loader) unsupportedBlock(b *hclsyntax.Block, kind string) {
	allowed := shapes[kind]
	if _, ok := allowed.argument(b.Type); ok {
		l.fail(b.TypeRange, fmt.Sprintf("%q is an argument", b.Type),
			"Write it with an equals sign: %s = …", b.Type)
		return
	}
	where := "There is no block of this name."
	if kind != topLevel {
		where = fmt.Sprintf("The %q block has no block of this name within.", last(kind))
	}
	l.fail(b.TypeRange, fmt.Sprintf("Unsupported block %q", b.Type),
		"%s%s", where, hint(b.Type, allowed.blocks, allowed.names()))
}

// hint says which name was meant or, where that can't be told, which there are.
func hint(given string, names, others []string) string {
	if s := suggest(given, slices.Concat(names, others)); s != "" {
		return didYouMean(s)
	}
	if len(names) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(names))
	return fmt.Sprintf(" There are: %s.", strings.Join(sorted, ", "))
}

// header is the first line of a block of that type.
func header(kind string) string {
	if shapes[kind].label == "" {
		return kind
	}
	return fmt.Sprintf("%s %q", kind, exampleName(kind))
}

func last(kind string) string { return kind[strings.LastIndexByte(kind, '.')+1:] }

// attributesOf returns a body's attributes in the order of the source.
func attributesOf(body *hclsyntax.Body) []*hclsyntax.Attribute {
	attrs := make([]*hclsyntax.Attribute, 0, len(body.Attributes))
	for _, attr := range body.Attributes {
		attrs = append(attrs, attr)
	}
	slices.SortFunc(attrs, func(a, b *hclsyntax.Attribute) int {
		return cmp.Compare(a.SrcRange.Start.Byte, b.SrcRange.Start.Byte)
	})
	return attrs
}
