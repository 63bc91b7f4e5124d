package cli

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// closest is the candidate that was most likely meant, or "".
func closest(given string, candidates []string) string {
	best, bestDistance := "", max(2, len(given)/4)+1
	for _, candidate := range candidates {
		d := levenshtein.Distance(strings.ToLower(given), strings.ToLower(candidate), nil)
		if d < bestDistance && d < len(candidate) && d < len(given) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// didYouMean is a question with a space before it, or "".
func didYouMean(given string, candidates []string) string {
	if best := closest(given, candidates); best != "" {
		return fmt.Sprintf(" Did you mean %q?", best)
	}
	return ""
}
