package demo

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is text in columns: numbers to the right, what is named in text to the left.
type table struct {
	head []string
	text []string // heads of the columns that hold text
	rows [][]string
}

func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

// show writes the table.
func (s *screen) show(t *table) {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	s.line(cell{t.format(t.head, widths), dim})
	for _, row := range t.rows {
		s.line(cell{text: t.format(row, widths)})
	}
}

func (t *table) format(row []string, widths []int) string {
	cells := make([]string, len(row))
	for i, c := range row {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
		if slices.Contains(t.text, t.head[i]) {
			cells[i] = c + pad
			continue
		}
		cells[i] = pad + c
	}
	return strings.Join(cells, "  ")
}
