package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// What one source file may have. HCL's parser recurses, with up to 8 KB of stack a
// token ("((((…" or "!!!!…"), and Go ends the process at 1 GB: a mistaken file must not
// do that to a daemon that reloads it. Brackets left open cost quadratic time, too.
const (
	maxSource  = 1 << 20 // bytes
	maxTokens  = 50_000
	maxNesting = 200 // brackets and templates within each other
)

// tooMuch returns a diagnostic for a source that must not be parsed, else nil.
func tooMuch(name string, src []byte) *hcl.Diagnostic {
	if len(src) > maxSource {
		return tooLarge(name, "has more than 1 MiB")
	}
	// What the scanner has to say, the parser says again.
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	if len(tokens) > maxTokens {
		return tooLarge(name, "has more than 50,000 words and signs")
	}
	depth := 0
	for _, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote,
			hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			depth--
		}
		if depth > maxNesting {
			return problem(token.Range, "Too many brackets within each other",
				"More than %d are open here. Is a closing one missing above?", maxNesting)
		}
	}
	return nil
}

func tooLarge(name, why string) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Configuration file too large",
		Detail:   fmt.Sprintf("%s %s. Split it into several files of one folder.", name, why),
	}
}
