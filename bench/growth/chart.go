package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
)

// chart is a line chart with logarithmic axes.
type chart struct {
	Title, X, Y string
	Series      []series
}

// read adds the lines of a file, if there is one.
func (c *chart) read(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &c.Series)
}

// write writes path.json and path.svg.
func (c *chart) write(path string) error {
	text, err := json.MarshalIndent(c.Series, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".json", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(path+".svg", []byte(c.svg()), 0o644)
}

// series is one line, in the order of its points.
type series struct {
	Name   string  `json:"name"`
	Points []point `json:"points"`
}

// point is one measurement: Y is drawn, and a bar up to the median.
type point struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Median float64 `json:"median"`
}

// The picture in pixels: its size, and the room around the plot.
const (
	width, height            = 720, 400
	left, right, top, bottom = 76, 24, 48, 56
)

var colours = []string{"#2563eb", "#dc2626", "#059669", "#d97706"}

// axis maps powers of ten to pixels.
type axis struct{ from, to, begin, end float64 }

// newAxis spans whole powers of ten around the values.
func newAxis(values []float64, begin, end float64) axis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		low, high = min(low, math.Log10(v)), max(high, math.Log10(v))
	}
	a := axis{math.Floor(low), math.Ceil(high), begin, end}
	if a.to <= a.from {
		a.to = a.from + 1
	}
	return a
}

func (a axis) at(v float64) float64 {
	return a.begin + (math.Log10(v)-a.from)/(a.to-a.from)*(a.end-a.begin)
}

// ticks are the powers of ten.
func (a axis) ticks() (ticks []float64) {
	for e := a.from; e <= a.to; e++ {
		ticks = append(ticks, math.Pow(10, e))
	}
	return ticks
}

// svg draws the chart.
func (c chart) svg() string {
	var xs, ys []float64
	for _, s := range c.Series {
		for _, p := range s.Points {
			xs, ys = append(xs, p.X), append(ys, p.Y, p.Median)
		}
	}
	x, y := newAxis(xs, left, width-right), newAxis(ys, height-bottom, top)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12" fill="#334155">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	text(&b, left, 24, "start", `font-size="15" font-weight="600" fill="#0f172a"`, c.Title)
	for _, v := range x.ticks() {
		line(&b, x.at(v), top, x.at(v), height-bottom, `stroke="#e2e8f0"`)
		text(&b, x.at(v), height-bottom+18, "middle", "", amount(v))
	}
	for _, v := range y.ticks() {
		line(&b, left, y.at(v), width-right, y.at(v), `stroke="#e2e8f0"`)
		text(&b, left-8, y.at(v)+4, "end", "", amount(v))
	}
	text(&b, (left+width-right)/2, height-14, "middle", "", c.X)
	text(&b, left, 40, "start", "", c.Y)
	for i, s := range c.Series {
		c.line(&b, s, x, y, colours[i%len(colours)], i)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// line draws a series, with a bar up to each median, and its entry in the legend.
func (c chart) line(b *strings.Builder, s series, x, y axis, colour string, n int) {
	var path []string
	for _, p := range s.Points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(p.X), y.at(p.Y)))
		line(b, x.at(p.X), y.at(p.Y), x.at(p.X), y.at(p.Median), `stroke="`+colour+`" stroke-opacity="0.35" stroke-width="5"`)
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x.at(p.X), y.at(p.Y), colour)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
	at := float64(top + 14 + 18*n)
	line(b, left+12, at-4, left+34, at-4, `stroke="`+colour+`" stroke-width="2"`)
	text(b, left+40, at, "start", "", s.Name)
}

func line(b *strings.Builder, x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

func text(b *strings.Builder, x, y float64, anchor, style, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(s))
}

// amount writes a power of ten shortly: 0.1, 100, 10k, 1M.
func amount(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	default:
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
}
