package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// suggest returns the candidate that was most likely meant by given, or "".
func suggest(given string, candidates []string) string {
	best, bestDistance := "", max(2, len(given)/4)+1
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		distance := levenshtein.Distance(strings.ToLower(given), strings.ToLower(candidate), nil)
		// A name of a few letters is within two edits of any other.
		if distance < bestDistance && 2*distance <= max(len(candidate), len(given)) {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

// suggestTopic also finds a topic whose name was given in part ("tagged") or in
// other words' order ("created.lead", "tagged_contact").
func suggestTopic(given string, topics []string) string {
	if best := suggest(given, topics); best != "" {
		return best
	}
	words := topicWords(given)
	for _, topic := range topics {
		if strings.HasSuffix(topic, "."+given) || slices.Equal(topicWords(topic), words) {
			return topic
		}
	}
	return ""
}

func topicWords(topic string) []string {
	words := strings.FieldsFunc(strings.ToLower(topic), func(r rune) bool {
		return strings.ContainsRune("._-/: ", r)
	})
	slices.Sort(words)
	return words
}

// didYouMean is the sentence for a suggestion, with a space before it; "" for none.
func didYouMean(suggestion string) string {
	if suggestion == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", suggestion)
}
