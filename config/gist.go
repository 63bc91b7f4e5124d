package config

import (
	"bytes"
	_ "embed"
)

//go:embed gist.hcl
var gist []byte

// gistFile is the name that diagnostics show for the built-in pack.
const gistFile = "gist.hcl (built in)"

// Gist returns the HCL text of the built-in pack: the 27 topics of the Gist
// webhooks guide. It is loaded like any other file unless `rules = "none"`.
func Gist() []byte { return bytes.Clone(gist) }
