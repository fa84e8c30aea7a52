// Package chart draws lines over two axes as SVG for pages that need nothing from
// outside, in light and dark: Chart, its Lines, and the Scales of its axes. Style is the
// look that such pages have in common.
package chart

import (
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

//go:embed style.css
var style string

// Script shows the values of charts that carry them at the mouse or finger.
//
//go:embed values.js
var Script string

// Style is the style sheet of a page with charts, tables and legends.
var Style = template.CSS(style)

// Chart is a picture of lines over two axes.
type Chart struct {
	Title  string
	X, Y   string // what the axes show, with units
	XScale *Scale // nil: from 0, as far as the points reach
	YScale *Scale // Fit makes it
	Lines  []Line
	Marks  []Mark
	Values bool // lines carry their values, which Script shows at the mouse
}

// Line is a series. Its colour is its number's among the page's series.
type Line struct {
	Name   string
	Colour int
	Dashed bool
	Faint  bool
	Dots   bool // a mark with a label at each point
	Points []Point
}

// Mark is a place on the x axis at which something happened.
type Mark struct {
	X    float64
	Text string // shown at the mouse
}

// Point is a place in a chart.
type Point struct {
	X, Y float64
	Text string // shown at the mouse
}

// The picture's size in its own units, and the room around the axes.
const (
	width, height           = 560, 300
	left, right, above, low = 72, 26, 12, 44
)

// SVG draws the chart. Colours come from the page's style, so that it follows light and
// dark.
func (c *Chart) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s"`, width, height, html.EscapeString(c.Title))
	if c.Values {
		fmt.Fprintf(&b, ` data-x="%s" data-top="%d" data-bottom="%d"`, html.EscapeString(c.X), above, height-low)
	}
	b.WriteByte('>')
	c.axes(&b)
	for _, m := range c.Marks {
		x := c.px(m.X)
		fmt.Fprintf(&b, `<line class="mark" x1="%.1f" x2="%.1f" y1="%d" y2="%d"><title>%s</title></line>`, x, x, above, height-low, html.EscapeString(m.Text))
	}
	for i := range c.Lines {
		c.draw(&b, &c.Lines[i])
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // every text in it is escaped
}

func (c *Chart) px(v float64) float64 { return left + c.XScale.place(v)*(width-left-right) }
func (c *Chart) py(v float64) float64 { return height - low - c.YScale.place(v)*(height-low-above) }

func (c *Chart) axes(b *strings.Builder) {
	for _, t := range c.YScale.ticks {
		y := c.py(t.at)
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, width-right, y, y)
		fmt.Fprintf(b, `<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>`, left-6, y+3.5, html.EscapeString(t.text))
	}
	for _, t := range c.XScale.ticks {
		x := c.px(t.at)
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, x, x, above, height-low)
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>`, x, height-low+15, html.EscapeString(t.text))
	}
	fmt.Fprintf(b, `<text class="axis" x="%d" y="%d" text-anchor="middle">%s</text>`, (left+width-right)/2, height-8, html.EscapeString(c.X))
	fmt.Fprintf(b, `<text class="axis y" transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`, (above+height-low)/2, html.EscapeString(c.Y))
}

func (c *Chart) draw(b *strings.Builder, l *Line) {
	class := fmt.Sprintf("c%d", l.Colour%Colours)
	if l.Dashed {
		class += " dashed"
	}
	if l.Faint {
		class += " faint"
	}
	var path strings.Builder
	for i, p := range l.Points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], c.px(p.X), c.py(p.Y))
	}
	fmt.Fprintf(b, `<path class="line %s" d="%s"%s><title>%s</title></path>`, class, path.String(), c.values(l), html.EscapeString(l.Name))
	if !l.Dots {
		return
	}
	for _, p := range l.Points {
		fmt.Fprintf(b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="4"><title>%s</title></circle>`, class, c.px(p.X), c.py(p.Y), html.EscapeString(p.Text))
	}
}

// values is the attribute with a line's values, if it shall have it: x and y in turns.
func (c *Chart) values(l *Line) string {
	if !c.Values {
		return ""
	}
	var b strings.Builder
	for _, p := range l.Points {
		fmt.Fprintf(&b, " %.6g %.5g", p.X, p.Y)
	}
	return fmt.Sprintf(` data-values="%s"`, strings.TrimPrefix(b.String(), " "))
}

// Colours is how many the style has.
const Colours = 8

// maxDecades is how much of a logarithmic axis is shown below its highest point: what is
// a millionth of it is noise.
const maxDecades = 1e4

// Axis says which values an axis shows.
type Axis int

const (
	FromZero    Axis = iota
	Close            // from about the lowest point to the highest
	Logarithmic      // as Close; from 0 where no point is above it
)

// Fit makes the axes hold every point.
func (c *Chart) Fit(y Axis) {
	highX, lowY, highY := 0.0, math.Inf(1), math.Inf(-1)
	positive := math.Inf(1) // the lowest above 0
	for _, l := range c.Lines {
		for _, p := range l.Points {
			highX, lowY, highY = max(highX, p.X), min(lowY, p.Y), max(highY, p.Y)
			if p.Y > 0 {
				positive = min(positive, p.Y)
			}
		}
	}
	if c.XScale == nil {
		c.XScale = Linear(0, highX)
	}
	switch {
	case y == Logarithmic && positive <= highY:
		c.YScale = logarithmic(max(positive, highY/maxDecades), highY)
	case y == Close && lowY <= highY:
		c.YScale = Linear(lowY, highY)
	default:
		c.YScale = Linear(0, max(highY, 0))
	}
}
