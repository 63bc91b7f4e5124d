package cli

import (
	"strings"
	"unicode/utf8"
)

// table aligns columns of text.
type table struct {
	right []bool // by column
	rows  [][]string
}

// newTable makes a table with headings. One that begins with ">" stands, with its column, to the right.
func newTable(headings ...string) *table {
	t := &table{right: make([]bool, len(headings))}
	for i, heading := range headings {
		headings[i], t.right[i] = strings.CutPrefix(heading, ">")
	}
	t.add(headings...)
	return t
}

// newFacts makes a table of names and values, without headings.
func newFacts() *table { return &table{right: make([]bool, 2)} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// String gives the table, without a space at the end of a line.
func (t *table) String() string {
	widths := make([]int, len(t.right))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.right[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
