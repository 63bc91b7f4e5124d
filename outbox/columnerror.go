package outbox

import (
	"fmt"
	"slices"
	"strings"
)

// ColumnError says which columns an outbox table lacks.
type ColumnError struct {
	Missing []MissingColumn
	Have    []string // the table's columns
}

// MissingColumn is a column that is mapped and not there.
type MissingColumn struct {
	Name       string // as mapped
	Suggestion string // the column that may be meant, or ""
	Optional   bool   // the column may be mapped to None
}

func newColumnError(c Columns, missing []column, have []string) *ColumnError {
	free := slices.DeleteFunc(slices.Clone(have), func(name string) bool {
		return slices.Contains(c.Names(), name) // it is another field's
	})
	e := &ColumnError{Have: have}
	for _, col := range missing {
		e.Missing = append(e.Missing, MissingColumn{
			Name:       col.name,
			Suggestion: suggest(col.name, free),
			Optional:   col.field == fieldHeaders || col.field == fieldCreatedAt,
		})
	}
	return e
}

// Error names every missing column, with what may be meant.
func (e *ColumnError) Error() string {
	parts := make([]string, len(e.Missing))
	for i, m := range e.Missing {
		parts[i] = quote(m.Name)
		switch {
		case m.Suggestion != "":
			parts[i] += fmt.Sprintf(" (did you mean %s?)", quote(m.Suggestion))
		case m.Optional:
			parts[i] += fmt.Sprintf(" (map it to %q if there is none)", None)
		}
	}
	plural := ""
	if len(parts) > 1 {
		plural = "s"
	}
	return fmt.Sprintf("the outbox table has no column%s %s", plural, strings.Join(parts, ", "))
}

// suggest gives the name that is most like the wanted one, if one is: when case and
// underscores don't count, it is at most a third of the letters away, or is its first or
// last word ("type" for "event_type").
func suggest(wanted string, names []string) string {
	best, bestDistance := "", 0
	for _, name := range names {
		a, b := plain(wanted), plain(name)
		distance := editDistance(a, b)
		if len(b) > 1 && (strings.HasPrefix(a, b) || strings.HasSuffix(a, b) || strings.HasSuffix(b, a)) {
			distance = min(distance, len(a)/3)
		}
		if distance <= len(a)/3 && (best == "" || distance < bestDistance) {
			best, bestDistance = name, distance
		}
	}
	return best
}

func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// editDistance counts the letters to insert, delete or replace (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
