package report

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// chart is a picture of lines over two axes.
type chart struct {
	Title  string
	x, y   string // what the axes show, with units
	xs, ys *scale
	lines  []line
}

// line is a series. Its colour is its number's among the page's series.
type line struct {
	name   string
	colour int
	dashed bool
	dots   bool // a mark with a label at each point
	points []point
}

type point struct {
	x, y float64
	text string // shown at the mouse
}

// The picture's size in its own units, and the room around the axes.
const (
	width, height           = 560, 300
	left, right, above, low = 72, 26, 12, 44
)

// SVG draws the chart. Colours come from the page's style, so that it follows light and
// dark.
func (c *chart) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, html.EscapeString(c.Title))
	c.axes(&b)
	for i := range c.lines {
		c.draw(&b, &c.lines[i])
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // every text in it is escaped
}

func (c *chart) px(v float64) float64 { return left + c.xs.place(v)*(width-left-right) }
func (c *chart) py(v float64) float64 { return height - low - c.ys.place(v)*(height-low-above) }

func (c *chart) axes(b *strings.Builder) {
	for _, t := range c.ys.ticks {
		y := c.py(t.at)
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, width-right, y, y)
		fmt.Fprintf(b, `<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>`, left-6, y+3.5, html.EscapeString(t.text))
	}
	for _, t := range c.xs.ticks {
		x := c.px(t.at)
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, x, x, above, height-low)
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>`, x, height-low+15, html.EscapeString(t.text))
	}
	fmt.Fprintf(b, `<text class="axis" x="%d" y="%d" text-anchor="middle">%s</text>`, (left+width-right)/2, height-8, html.EscapeString(c.x))
	fmt.Fprintf(b, `<text class="axis" transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`, (above+height-low)/2, html.EscapeString(c.y))
}

func (c *chart) draw(b *strings.Builder, l *line) {
	class := fmt.Sprintf("c%d", l.colour%colours)
	if l.dashed {
		class += " dashed"
	}
	var path strings.Builder
	for i, p := range l.points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], c.px(p.x), c.py(p.y))
	}
	fmt.Fprintf(b, `<path class="line %s" d="%s"><title>%s</title></path>`, class, path.String(), html.EscapeString(l.name))
	if !l.dots {
		return
	}
	for _, p := range l.points {
		fmt.Fprintf(b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="4"><title>%s</title></circle>`, class, c.px(p.x), c.py(p.y), html.EscapeString(p.text))
	}
}

// colours is how many the style has.
const colours = 8

// maxDecades is how much of a logarithmic axis is shown below its highest point: what is
// a millionth of it is noise.
const maxDecades = 1e4

// fit makes the axes hold every point; log draws the y axis logarithmically, where there
// is something above 0.
func (c *chart) fit(log bool) {
	highX, lowY, highY := 0.0, 0.0, 0.0
	for _, l := range c.lines {
		for _, p := range l.points {
			highX, highY = max(highX, p.x), max(highY, p.y)
			if p.y > 0 && (lowY == 0 || p.y < lowY) {
				lowY = p.y
			}
		}
	}
	if c.xs == nil {
		c.xs = linear(highX)
	}
	c.ys = linear(highY)
	if log && lowY > 0 {
		c.ys = logarithmic(max(lowY, highY/maxDecades), highY)
	}
}
