package cli

import (
	"slices"
	"testing"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"1 + 1": false, "[1,": true, "[1,\n2]": false, "{ a = (": true, `"${lower(`: true, `"${lower("x")}"`: false,
		"<<E\nx\n": true, "<<E\nx\nE\n": false, "1)": false, `"(["`: false, "": false,
	} {
		if got := open(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func TestCommonPrefix(t *testing.T) {
	t.Parallel()
	words := []string{"lower(", "log(", "lookup(", "event.payload", "event.payload.contact", "event.id"}
	for word, want := range map[string]string{
		"low": "lower(", "lo": "lo", "l": "lo", "event.p": "event.payload", "event.payload.": "event.payload.contact", "x": "x",
	} {
		if got := commonPrefix(words, word); got != want {
			t.Errorf("%s: %s", word, got)
		}
	}
}

func TestDoubleDashes(t *testing.T) {
	t.Parallel()
	given := []string{"test", "-json", "-run=x", "--run", "-c", "f", "-o", "json", "--", "-check"}
	want := []string{"test", "--json", "--run=x", "--run", "-c", "f", "-o", "json", "--", "-check"}
	if got := doubleDashes(given); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if given[1] != "-json" {
		t.Error("the arguments were changed")
	}
}
