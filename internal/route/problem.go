package route

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Problem is why an event, or one delivery of it, can't be made: an expression
// that fails on its values. It has no value of the event and no secret in it, so
// it may be logged, recorded and shown.
type Problem struct {
	Rule    string // the rule at fault; empty: the webhook is
	Webhook string // the webhook at fault, or that of the delivery
	Topic   string
	Summary string // e.g. "Iteration over null value"
	Detail  string // a sentence or two
	Where   string // file:line of the expression

	// Temporary: what captured() asks for could not be looked up, for the reason Err.
	// The same may work later.
	Temporary bool
	Err       error `json:"-"`
	// Waiting: nothing is wrong; the webhook's wait_for is not true yet.
	Waiting bool
}

// Unwrap returns Err.
func (p Problem) Unwrap() error { return p.Err }

// Error returns the whole problem in one line.
func (p Problem) Error() string {
	var b strings.Builder
	switch {
	case p.Rule != "":
		fmt.Fprintf(&b, "rule %q", p.Rule)
	case p.Webhook != "":
		fmt.Fprintf(&b, "webhook %q", p.Webhook)
	}
	if p.Topic != "" {
		fmt.Fprintf(&b, " (topic %s)", p.Topic)
	}
	fmt.Fprintf(&b, ": %s: %s", p.Summary, p.Detail)
	if p.Err != nil {
		fmt.Fprintf(&b, " The reason: %v.", p.Err)
	}
	if p.Where != "" {
		fmt.Fprintf(&b, " (%s)", p.Where)
	}
	return strings.TrimPrefix(b.String(), ": ")
}

// problem returns the first error of the diagnostics as a problem, or one at the
// place if none of them is.
func problem(diags hcl.Diagnostics, place hcl.Range) *Problem {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		if d.Subject != nil {
			place = *d.Subject
		}
		return &Problem{Summary: d.Summary, Detail: detail(d), Where: where(place)}
	}
	return &Problem{Summary: "Invalid value", Detail: "The expression gives no usable value.", Where: where(place)}
}

// where returns a range as file:line.
func where(r hcl.Range) string {
	if r.Filename == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line)
}

// ownDetail marks, as a diagnostic's Extra, that its Detail is this package's and
// therefore free of values.
type ownDetail struct{}

// detail returns a diagnostic's detail if it can hold no value of the event, and
// else a sentence about the same thing: HCL's details, and cty's errors within
// them, may quote values and the keys of objects.
func detail(d *hcl.Diagnostic) string {
	if _, own := d.Extra.(ownDetail); own {
		return d.Detail
	}
	text := safeDetail(d)
	if path, ok := bare(d.Expression).(*eventExpr); ok {
		text += " It is " + path.source() + "."
	}
	return text
}

// constantDetails are the details of HCL that are always the same.
var constantDetails = map[string]string{
	"Attempt to get attribute from null value": "This value is null, so it does not have any attributes.",
	"Attempt to index null value":              "This value is null, so it does not have any indices.",
	"Iteration over null value":                "A null value cannot be used as the collection in a 'for' expression.",
	"Splat of null value":                      "Splat expressions (with the * symbol) cannot be applied to null sequences.",
	"Null condition":                           "The condition value is null. Conditions must either be true or false.",
	"Incorrect condition type":                 "The condition expression must be of type bool.",
	"Null value as key":                        "Can't use a null value as a key.",
	"Invalid index":                            "The given key does not identify an element in this collection value.",
	"Unsupported attribute":                    "This value does not have that attribute.",
	"Missing map element":                      "This map does not have an element with that key.",
	"Duplicate object key":                     "Two different items produced the same key in this 'for' expression.",
	"Invalid object key":                       "The key expression gives null, or no string.",
	"Condition is null":                        "The value of the 'if' clause must not be null.",
	"Invalid 'for' condition":                  "The 'if' clause gives null, or no bool.",
	"Iteration over non-iterable value":        "Only an array or an object can be the collection in a 'for' expression.",
	"Inconsistent conditional result types":    "The true and false result expressions must have consistent types.",
	"Invalid expanding argument value":         "The expanding argument (indicated by ...) must be an array and not null.",
	"Operation failed":                         "The operation is not possible with these values; one may be null or of the wrong type.",
	"Invalid operand":                          "An operand has a value of the wrong type.",
}

func safeDetail(d *hcl.Diagnostic) string {
	const nullPart = "The expression result is null. Cannot include a null value in a string template."
	if d.Detail == nullPart {
		return d.Detail
	}
	if text, ok := constantDetails[d.Summary]; ok {
		return text
	}
	if call, ok := d.Extra.(hclsyntax.FunctionCallDiagExtra); ok && call.CalledFunctionName() != "" {
		return fmt.Sprintf("The function %q can't take the values of this event.", call.CalledFunctionName())
	}
	if strings.Contains(d.Summary, "template") {
		return "A value of this type can't be part of a string; encode it first, for example with jsonencode()."
	}
	return "The expression can't be evaluated with the values of this event."
}

// failure returns an error diagnostic of our own; the detail must be free of values.
func failure(summary, detail string, place hcl.Range) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &place, Extra: ownDetail{},
	}
}
