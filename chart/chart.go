// Package chart draws lines over two axes as SVG for pages that need nothing from
// outside, in light and dark: Chart, its Lines, and the Scales of its axes. Style is the
// look that such pages have in common.
package chart

import (
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"strings"
)

//go:embed style.css
var style string

// Style is the style sheet of a page with charts, tables and legends.
var Style = template.CSS(style)

// Chart is a picture of lines over two axes.
type Chart struct {
	Title  string
	X, Y   string // what the axes show, with units
	XScale *Scale // nil: from 0, as far as the points reach
	YScale *Scale // Fit makes it
	Lines  []Line
}

// Line is a series. Its colour is its number's among the page's series.
type Line struct {
	Name   string
	Colour int
	Dashed bool
	Dots   bool // a mark with a label at each point
	Points []Point
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
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, html.EscapeString(c.Title))
	c.axes(&b)
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
	fmt.Fprintf(b, `<text class="axis" transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`, (above+height-low)/2, html.EscapeString(c.Y))
}

func (c *Chart) draw(b *strings.Builder, l *Line) {
	class := fmt.Sprintf("c%d", l.Colour%Colours)
	if l.Dashed {
		class += " dashed"
	}
	var path strings.Builder
	for i, p := range l.Points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], c.px(p.X), c.py(p.Y))
	}
	fmt.Fprintf(b, `<path class="line %s" d="%s"><title>%s</title></path>`, class, path.String(), html.EscapeString(l.Name))
	if !l.Dots {
		return
	}
	for _, p := range l.Points {
		fmt.Fprintf(b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="4"><title>%s</title></circle>`, class, c.px(p.X), c.py(p.Y), html.EscapeString(p.Text))
	}
}

// Colours is how many the style has.
const Colours = 8

// maxDecades is how much of a logarithmic axis is shown below its highest point: what is
// a millionth of it is noise.
const maxDecades = 1e4

// Fit makes the axes hold every point; log draws the y axis logarithmically, where there
// is something above 0.
func (c *Chart) Fit(log bool) {
	highX, lowY, highY := 0.0, 0.0, 0.0
	for _, l := range c.Lines {
		for _, p := range l.Points {
			highX, highY = max(highX, p.X), max(highY, p.Y)
			if p.Y > 0 && (lowY == 0 || p.Y < lowY) {
				lowY = p.Y
			}
		}
	}
	if c.XScale == nil {
		c.XScale = linear(highX)
	}
	c.YScale = linear(highY)
	if log && lowY > 0 {
		c.YScale = logarithmic(max(lowY, highY/maxDecades), highY)
	}
}
