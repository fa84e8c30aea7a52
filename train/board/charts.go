package board

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/chart"
)

// Named is a run with its place in a page. A colour that is out of range comes again,
// dashed.
type Named struct {
	*Run
	Name   string
	Colour int
}

// Line is how the run's lines are drawn, without points.
func (r Named) Line() chart.Line {
	return chart.Line{Name: r.Name, Colour: r.Colour, Dashed: r.Colour/chart.Colours%2 == 1}
}

// figure is how a curve of the log is drawn.
type figure struct {
	name, title, unit string
	axis              chart.Axis
	factor            float64 // 0: 1
	smooth, dots      bool
}

// figures are those that every run has; others of a log follow under their own names.
var figures = []figure{
	{name: "loss", title: "Training loss", unit: "nats a token", axis: chart.Close, smooth: true},
	{name: "valid_loss", title: "Validation loss", unit: "nats a token", axis: chart.Close, dots: true},
	{name: "valid_bits_per_byte", title: "Validation, bits per byte", unit: "bits a byte", axis: chart.Close, dots: true},
	{name: "lr_share", title: "Learning rate", unit: "--lr at the step"},
	{name: "grad_norm", title: "Norm of the gradient", unit: "norm", axis: chart.Logarithmic, smooth: true},
	{name: "tok_s", title: "Speed", unit: "tokens/s", smooth: true},
	{name: "mfu", title: "Share of the machine's peak (MFU)", unit: "%", factor: 100, smooth: true},
}

// aside are figures of the log that are no charts.
var aside = []string{"tokens", "seconds", "targets"}

// Axes are the figures that charts may have on their x axis.
var Axes = []string{"step", "tokens", "minutes"}

// charts draws all figures of the runs over one of Axes; losses on a logarithmic axis if
// log is set.
func charts(runs []Named, x string, log bool) (all []*chart.Chart) {
	last := 0.0
	for _, r := range runs {
		last = max(last, r.place(r.Step(), x))
	}
	for _, f := range append(figures[:len(figures):len(figures)], others(runs)...) {
		if log && f.axis == chart.Close {
			f.axis = chart.Logarithmic
		}
		c := &chart.Chart{Title: f.title, X: x, Y: f.unit, XScale: chart.Linear(0, last), Values: true}
		for _, r := range runs {
			lines := r.lines(f, x)
			if len(runs) == 1 && len(lines) == 2 {
				lines[0].Name, lines[1].Name = "each step", "smoothed"
			}
			c.Lines = append(c.Lines, lines...)
		}
		if f.name == "loss" && len(runs) == 1 {
			c.Lines = append(c.Lines, runs[0].validation(x)...)
		}
		if len(c.Lines) == 0 {
			continue
		}
		if len(runs) == 1 {
			c.Marks = runs[0].marks(x)
		}
		c.Fit(f.axis)
		all = append(all, c)
	}
	return all
}

// others are the figures that the runs have beside the usual ones, by name.
func others(runs []Named) (all []figure) {
	names := map[string]bool{}
	for _, r := range runs {
		for name := range r.curves {
			names[name] = true
		}
	}
	for _, f := range figures {
		delete(names, f.name)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !slices.Contains(aside, name) {
			all = append(all, figure{name: name, title: strings.ReplaceAll(name, "_", " "), unit: "value", axis: chart.Close})
		}
	}
	return all
}

// maxPoints is how many points of a line are drawn: more would not be seen.
const maxPoints = 500

// lines draws a figure of the run: every value, faint, and the smoothed ones where they
// jump about.
func (r *Named) lines(f figure, x string) []chart.Line {
	c := r.Curve(f.name)
	if c == nil || len(c.Steps) == 0 {
		return nil
	}
	factor := f.factor
	if f.name == "lr_share" {
		factor = r.Start().Rate
	}
	if factor == 0 {
		factor = 1
	}
	line := func(c *Curve) chart.Line {
		l := r.Line()
		l.Dots, l.Points = f.dots, r.points(c.thin(maxPoints), x, factor)
		return l
	}
	span := float64(len(c.Steps)) / 40
	if !f.smooth || span <= 1 {
		return []chart.Line{line(c)}
	}
	raw, smoothed := line(c), line(c.smooth(span))
	raw.Name, raw.Faint = raw.Name+", each step", true
	return []chart.Line{raw, smoothed}
}

// validation draws the validation's losses for the chart of the training's.
func (r *Named) validation(x string) []chart.Line {
	c := r.Curve("valid_loss")
	if c == nil || len(c.Steps) == 0 {
		return nil
	}
	return []chart.Line{{Name: "validation", Colour: r.Colour, Dashed: true, Dots: true, Points: r.points(c.thin(maxPoints), x, 1)}}
}

// legend are the lines that a chart of several names: the faint ones of a chart with one
// run, the runs alone of others.
func legend(c *chart.Chart) []chart.Line {
	if len(c.Lines) < 2 {
		return nil
	}
	several := c.Lines[0].Colour != c.Lines[len(c.Lines)-1].Colour
	return slices.DeleteFunc(slices.Clone(c.Lines), func(l chart.Line) bool { return several && l.Faint })
}

// points are a curve's, over one of Axes.
func (r *Run) points(c *Curve, x string, factor float64) []chart.Point {
	points := make([]chart.Point, len(c.Steps))
	for i, step := range c.Steps {
		y := factor * c.Values[i]
		points[i] = chart.Point{X: r.place(step, x), Y: y, Text: fmt.Sprintf("step %d: %.4g", step, y)}
	}
	return points
}

// place returns where a step lies on one of Axes.
func (r *Run) place(step int, x string) float64 {
	switch x {
	case "tokens":
		return r.Curve("tokens").At(step)
	case "minutes":
		return r.Curve("seconds").At(step) / 60
	}
	return float64(step)
}

// marks shows what happened in a run, and where a process went on with it.
func (r *Run) marks(x string) (all []chart.Mark) {
	for _, m := range r.Marks {
		all = append(all, chart.Mark{X: r.place(m.Step, x), Text: fmt.Sprintf("step %d: %s", m.Step, m.because())})
	}
	for _, s := range r.Starts {
		if s.From > 0 {
			all = append(all, chart.Mark{X: r.place(s.From, x), Text: fmt.Sprintf("went on from step %d", s.From)})
		}
	}
	return all[:min(len(all), maxMarks)]
}

// because is what happened, and why.
func (m Mark) because() string {
	if m.Reason == "" {
		return m.Name
	}
	return m.Name + ", because " + m.Reason
}

// maxMarks is how many marks a chart has: a run that skips all its steps has too many.
const maxMarks = 200
