package config

import (
	"bytes"
	_ "embed"
)

//go:embed starter.hcl
var starter []byte

// Starter returns a commented configuration to start from, which `walpost init`
// writes. It loads as it stands once DATABASE_URL is set.
func Starter() []byte { return bytes.Clone(starter) }
