package config

import "github.com/hashicorp/hcl/v2"

// Rule maps events to a topic and shapes their data.
type Rule struct {
	Name  string
	When  hcl.Expression // a bool; nil: always
	Topic string
	Data  hcl.Expression // an object; nil: event.payload

	DeclRange hcl.Range
}
