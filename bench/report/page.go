package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/ingot-llm/ingot/bench/load"
	"github.com/ingot-llm/ingot/chart"
)

//go:embed page.html
var source string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": chart.Number,
	"ms":     func(d time.Duration) string { return chart.Number(millis(d)) },
	"colour": func(n int) int { return n % chart.Colours },
}).Parse(source))

// view is what the template shows.
type view struct {
	Title                                      string
	Style                                      template.CSS
	Runs                                       []row
	Files                                      []key
	Tradeoffs, Percentiles, Timelines, Metrics []*chart.Chart
	Failures                                   []failure
	Objectives                                 bool
}

type row struct {
	series
	Name   string
	Colour int
}

// key is an entry of a legend.
type key struct {
	Name   string
	Colour int
}

type failure struct {
	Run, Kind string
	load.Failures
}

// Write writes the page about files, whose names tell their runs apart where there are
// several.
func Write(w io.Writer, files []File) error {
	v := view{Title: "Load test", Style: chart.Style}
	if len(files) > 1 {
		v.Title = "Load tests side by side"
	}
	var all []series
	for i, f := range files {
		v.Files = append(v.Files, key{f.Name, i})
		for j := range f.Runs {
			r := &f.Runs[j]
			s := series{Run: r, name: r.Name, file: i, colour: len(all)}
			if len(files) > 1 {
				s.name = fmt.Sprintf("%s: %s", f.Name, r.Name)
			}
			all = append(all, s)
			v.Runs = append(v.Runs, row{s, s.name, s.colour})
			v.Objectives = v.Objectives || r.Objectives != ""
			for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
				v.Failures = append(v.Failures, failure{s.name, kind, r.Errors[kind]})
			}
		}
	}
	v.Tradeoffs, v.Percentiles, v.Timelines, v.Metrics = tradeoffs(files), percentiles(all), timelines(all), metrics(all)
	return page.Execute(w, v)
}
