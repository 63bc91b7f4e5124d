package config

import (
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Readers of arguments that are decided at load. A reader returns ok = false for
// a value that is wrong, which it reports at its place.

// element is a value of a list with its place.
type element[T any] struct {
	value T
	at    hcl.Range
}

// constant evaluates an expression that no event decides.
func (l *loader) constant(expr hclsyntax.Expression, name string) (cty.Value, bool) {
	value, ok := l.evaluate(expr, l.settingScope())
	if !ok {
		return value, false
	}
	if bare, _ := value.Unmark(); bare.IsNull() {
		l.fail(expr.Range(), fmt.Sprintf("No value for %q", name), "It is null. Write a value, or leave the argument out.")
		return value, false
	}
	// Unknown without a problem: made of env() or file(), which was reported elsewhere.
	return value, value.IsWhollyKnown()
}

// public evaluates an expression that is no secret.
func (l *loader) public(expr hclsyntax.Expression, name string) (cty.Value, bool) {
	value, ok := l.constant(expr, name)
	if !ok || !l.refuseSecret(value, expr.Range(), name) {
		return value, false
	}
	return value, true
}

// wrongType reports a value of another type than the one that is needed.
func (l *loader) wrongType(at hcl.Range, name string, value cty.Value, need string) {
	l.fail(at, fmt.Sprintf("Invalid %q", name), "It must be %s, not %s.", need, typeName(value))
}

// typeName is a value's type as people call it.
func typeName(value cty.Value) string {
	value, _ = value.Unmark()
	switch ty := value.Type(); {
	case value.IsNull():
		return "null"
	case ty == cty.String:
		return "a string"
	case ty == cty.Number:
		return "a number"
	case ty == cty.Bool:
		return "true or false"
	case ty.IsObjectType(), ty.IsMapType():
		return "an object"
	default:
		return "a list"
	}
}

// text is a string that is no secret.
func (l *loader) text(expr hclsyntax.Expression, name, need string) (string, bool) {
	value, ok := l.public(expr, name)
	if !ok {
		return "", false
	}
	if value.Type() != cty.String {
		l.wrongType(expr.Range(), name, value, need)
		return "", false
	}
	return value.AsString(), true
}

// choice is one of a few words.
func (l *loader) choice(attr *hclsyntax.Attribute, name string, words ...string) (string, bool) {
	at := attr.Expr.Range()
	if word := hcl.ExprAsKeyword(attr.Expr); slices.Contains(words, word) {
		l.fail(at, fmt.Sprintf("Invalid %q", name), "Write it in quotes: %s = %q", attr.Name, word)
		return "", false
	}
	word, ok := l.text(attr.Expr, name, orList(words))
	if !ok {
		return "", false
	}
	if !slices.Contains(words, word) {
		l.fail(at, fmt.Sprintf("Invalid %q", name), "It must be %s.%s", orList(words), didYouMean(suggest(word, words)))
		return "", false
	}
	return word, true
}

// text reads an argument that is a string.
func (b *block) text(argument, example string) (element[string], bool) {
	attr := b.argument(argument)
	if attr == nil {
		return element[string]{}, false
	}
	value, ok := b.loader.text(attr.Expr, argument, fmt.Sprintf("a string, such as %q", example))
	return element[string]{value, attr.Expr.Range()}, ok
}

// secret reads an argument that takes secrets. It is not empty.
func (b *block) secret(argument string) (element[Secret], bool) {
	value, ok := b.secretOrEmpty(argument)
	if ok && value.value == "" {
		b.fail(value.at, fmt.Sprintf("Empty %q", argument), "It is an empty string. If it comes from env(), give the variable a value.")
		return value, false
	}
	return value, ok
}

func (b *block) secretOrEmpty(argument string) (element[Secret], bool) {
	attr := b.argument(argument)
	if attr == nil {
		return element[Secret]{}, false
	}
	at := attr.Expr.Range()
	value, ok := b.constant(attr.Expr, argument)
	if !ok {
		return element[Secret]{at: at}, false
	}
	value, _ = value.Unmark()
	if value.Type() != cty.String {
		b.wrongType(at, argument, value, "a string")
		return element[Secret]{at: at}, false
	}
	return element[Secret]{Secret(value.AsString()), at}, true
}

// choice reads an argument that is one of a few words.
func (b *block) choice(argument string, words ...string) (string, bool) {
	attr := b.argument(argument)
	if attr == nil {
		return "", false
	}
	return b.loader.choice(attr, argument, words...)
}

// boolean reads an argument that is true or false.
func (b *block) boolean(argument string) (value, ok bool) {
	attr := b.argument(argument)
	if attr == nil {
		return false, false
	}
	v, ok := b.public(attr.Expr, argument)
	if !ok {
		return false, false
	}
	if v.Type() != cty.Bool {
		b.wrongType(attr.Expr.Range(), argument, v, "true or false, without quotes")
		return false, false
	}
	return v.True(), true
}

// integer reads an argument that is a whole number.
func (b *block) integer(argument string, low, high int) (int, bool) {
	attr := b.argument(argument)
	if attr == nil {
		return 0, false
	}
	return b.loader.integer(attr.Expr, argument, low, high)
}

func (l *loader) integer(expr hclsyntax.Expression, name string, low, high int) (int, bool) {
	value, ok := l.public(expr, name)
	if !ok {
		return 0, false
	}
	need := fmt.Sprintf("a whole number from %d to %d", low, high)
	if value.Type() != cty.Number {
		l.wrongType(expr.Range(), name, value, need)
		return 0, false
	}
	n, accuracy := value.AsBigFloat().Int64()
	if accuracy != big.Exact || n < int64(low) || n > int64(high) {
		l.fail(expr.Range(), fmt.Sprintf("Invalid %q", name), "It must be %s.", need)
		return 0, false
	}
	return int(n), true
}

// duration reads an argument such as "10s".
func (b *block) duration(argument string, low, high time.Duration) (time.Duration, bool) {
	attr := b.argument(argument)
	if attr == nil {
		return 0, false
	}
	return b.loader.duration(attr.Expr, argument, low, high)
}

func (l *loader) duration(expr hclsyntax.Expression, name string, low, high time.Duration) (time.Duration, bool) {
	text, ok := l.text(expr, name, `a duration in quotes, such as "10s", "5m", "24h" or "7d"`)
	if !ok {
		return 0, false
	}
	d, err := parseDuration(text)
	if err != nil {
		l.fail(expr.Range(), fmt.Sprintf("Invalid %q", name), `It must be a duration such as "10s", "5m", "1h30m", "24h" or "7d": %v.`, err)
		return 0, false
	}
	if d < low || d > high {
		l.fail(expr.Range(), fmt.Sprintf("Invalid %q", name), "It must be a duration from %s to %s.", formatDuration(low), formatDuration(high))
		return 0, false
	}
	return d, true
}

// size reads an argument such as "16MiB", in bytes.
func (b *block) size(argument string, low, high int64) (int64, bool) {
	value, ok := b.sizeText(argument)
	if !ok {
		return 0, false
	}
	n, err := parseSize(value.value)
	switch {
	case err != nil:
		b.fail(value.at, fmt.Sprintf("Invalid %q", argument), `It must be a size such as "512KiB", "16MiB" or "1GiB": %v.`, err)
		return 0, false
	case n < low || n > high:
		b.fail(value.at, fmt.Sprintf("Invalid %q", argument), "It must be a size from %s to %s.", formatSize(low), formatSize(high))
		return 0, false
	}
	return n, true
}

func (b *block) sizeText(argument string) (element[string], bool) {
	attr := b.argument(argument)
	if attr == nil {
		return element[string]{}, false
	}
	value, ok := b.loader.text(attr.Expr, argument, `a size in quotes, such as "16MiB"`)
	return element[string]{value, attr.Expr.Range()}, ok
}

// list reads an argument that is a list, each element by read. It returns the
// good elements and whether all were; there is false for an argument that isn't there.
func list[T any](b *block, argument, need string, read func(hclsyntax.Expression) (T, bool)) (values []element[T], there, ok bool) {
	attr := b.argument(argument)
	if attr == nil {
		return nil, false, false
	}
	exprs, ok := b.elements(attr.Expr, argument, need)
	if !ok {
		return nil, true, false
	}
	values = []element[T]{}
	for _, expr := range exprs {
		value, good := read(expr)
		if !good {
			ok = false
			continue
		}
		values = append(values, element[T]{value, expr.Range()})
	}
	return values, true, ok
}

// elements takes a list apart. A list that is computed gives all elements its place.
func (l *loader) elements(expr hclsyntax.Expression, name, need string) ([]hclsyntax.Expression, bool) {
	if tuple, ok := expr.(*hclsyntax.TupleConsExpr); ok {
		return tuple.Exprs, true
	}
	value, ok := l.public(expr, name)
	if !ok {
		return nil, false
	}
	if ty := value.Type(); !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		l.wrongType(expr.Range(), name, value, need)
		return nil, false
	}
	var exprs []hclsyntax.Expression
	for it := value.ElementIterator(); it.Next(); {
		_, v := it.Element()
		exprs = append(exprs, &hclsyntax.LiteralValueExpr{Val: v, SrcRange: expr.Range()})
	}
	return exprs, true
}

// valuesOf drops the places.
func valuesOf[T any](elements []element[T]) []T {
	values := make([]T, len(elements))
	for i, e := range elements {
		values[i] = e.value
	}
	return values
}
