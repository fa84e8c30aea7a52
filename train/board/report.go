package board

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ingot-llm/ingot/chart"
)

// ReportName is the report's file in a run's folder.
const ReportName = "report.html"

//go:embed page/parts.css
var partsStyle string

// scriptHash names the script as a Content-Security-Policy does.
var scriptHash = func() string {
	sum := sha256.Sum256([]byte(chart.Script))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}()

var style = chart.Style + template.CSS(partsStyle)

// report is what the page about one run shows.
type report struct {
	Style         template.CSS
	Script        template.JS
	ScriptHash    string // for the page's policy, which allows no other script
	Run           row
	About         string
	Charts        []*chart.Chart
	Events        []events
	Samples       []samples
	Configuration []table
}

// Report writes one page about a run that needs nothing from outside.
func Report(w io.Writer, name string, r *Run, updated time.Time) error {
	runs := []Named{{Run: r, Name: name}}
	state := r.State(time.Now(), updated)
	if state == "running" { // it ends now, or its process would write no report
		state = "stopped"
	}
	return pages.ExecuteTemplate(w, "report.html", report{Style: style, Script: template.JS(chart.Script), ScriptHash: scriptHash,
		Run:   summary(runs[0], state),
		About: r.about(), Charts: charts(runs, "step", false), Events: happened(runs), Samples: []samples{runs[0].samples()}, Configuration: configuration(runs)})
}

// about says what the run is, in a sentence.
func (r *Run) about() string {
	if len(r.Starts) == 0 {
		return "A training run whose log does not tell how it began."
	}
	return fmt.Sprintf("ingot train %s, begun %s.", r.Starts[0].Command, r.Starts[0].Time.Format(minute))
}

// events is what happened in a run beside the steps.
type events struct {
	Named
	All []string
}

// happened are the events of the runs that have some.
func happened(runs []Named) (all []events) {
	for _, r := range runs {
		if e := r.events(); len(e) > 0 {
			all = append(all, events{r, e})
		}
	}
	return all
}

func (r *Run) events() (all []string) {
	steps, last := map[string][]string{}, map[string]Mark{}
	for _, m := range r.Marks {
		steps[m.Name], last[m.Name] = append(steps[m.Name], fmt.Sprint(m.Step)), m
	}
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		at := steps[name]
		text := strings.Join(at[:min(len(at), maxListed)], ", ")
		if len(at) > maxListed {
			text += fmt.Sprintf(" and %d more", len(at)-maxListed)
		}
		if why := last[name].Reason; why != "" {
			text += "; the last one because " + why
		}
		all = append(all, name+": step "+text)
	}
	for _, s := range r.Starts {
		if s.From > 0 {
			all = append(all, fmt.Sprintf("went on from step %d at %s", s.From, s.Time.Format(minute)))
		}
	}
	if r.Damaged > 0 {
		all = append(all, fmt.Sprintf("%d lines of the log are damaged and left out", r.Damaged))
	}
	return all
}

// maxListed is how many steps a line of the events names.
const maxListed = 20

// minute is how times are written.
const minute = "2006-01-02 15:04"

// WriteReport writes the report of the run in a folder there and returns its path, "" if
// the run has made no step.
func WriteReport(dir string) (path string, err error) {
	f := Follower{Dir: dir}
	if err := f.Read(); err != nil || f.Run.Step() == 0 {
		return "", err
	}
	var page bytes.Buffer
	if err := Report(&page, f.Name(), &f.Run, f.Updated()); err != nil {
		return "", fmt.Errorf("cannot make the report of %q: %w", dir, err)
	}
	path = filepath.Join(dir, ReportName)
	if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
		return "", fmt.Errorf("cannot write the report: %w", err)
	}
	return path, nil
}
