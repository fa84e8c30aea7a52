package board

import (
	"embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"time"

	"github.com/ingot-llm/ingot/chart"
)

//go:embed page
var files embed.FS

// pages are the templates: the report, and the parts that it shares with the live page.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"key":    key,
	"legend": legend,
}).ParseFS(files, "page/*.html"))

// key is the class of a line's key in a legend.
func key(l chart.Line) string {
	class := fmt.Sprintf("key c%d", l.Colour%chart.Colours)
	if l.Dashed {
		class += " dashed"
	}
	if l.Faint {
		class += " faint"
	}
	return class
}

// row is a run's line in the summary.
type row struct {
	Named
	Cells []Fact
	Steps int // of the whole run, 0 if it is not known
}

// silence is after how long without a new line a run counts as stopped; a run whose steps
// take longer has as many of them.
const (
	silence      = time.Minute
	silenceSteps = 5
)

// State says in a word or two how a run is getting on. updated is when its log grew last.
func (r *Run) State(now, updated time.Time) string {
	step, quiet := r.Step(), silence
	if seconds := r.Curve("seconds"); step > 0 {
		quiet = max(quiet, time.Duration(silenceSteps*seconds.Last()/float64(step)*float64(time.Second)))
	}
	switch steps := r.Start().Steps; {
	case steps > 0 && step >= steps:
		return "done"
	case now.Sub(updated) > quiet:
		return "stopped"
	}
	return "running"
}

// summary is a run's figures as they are now.
func summary(r Named, state string) row {
	steps := fmt.Sprint(r.Step())
	if of := r.Start().Steps; of > 0 {
		steps = fmt.Sprintf("%d of %d", r.Step(), of)
	}
	took := r.Curve("seconds").Last()
	cells := []Fact{{"state", state}, {"steps", steps}, {"tokens", chart.Number(r.Curve("tokens").Last())},
		{"loss", shown("%.4f", r.recent("loss"))}, {"validation", shown("%.4f", r.Curve("valid_loss").Last())},
		{"bits per byte", shown("%.4f", r.Curve("valid_bits_per_byte").Last())}, {"tokens/s", chart.Number(r.recent("tok_s"))},
		{"MFU", shown("%.0f %%", 100*r.recent("mfu"))}, {"time", seconds(took)}}
	if state == "running" && r.Step() > 0 {
		cells = append(cells, Fact{"left", seconds(took / float64(r.Step()) * float64(r.Start().Steps-r.Step()))})
	} else {
		cells = append(cells, Fact{"left", "-"})
	}
	return row{r, cells, r.Start().Steps}
}

// recent is a figure's mean over about the last steps.
func (r *Run) recent(name string) float64 {
	c := r.Curve(name)
	if c == nil {
		return 0
	}
	return c.smooth(max(1, float64(len(c.Steps))/40)).Last()
}

// shown formats a figure that is 0 where it is not known.
func shown(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func seconds(s float64) string {
	return time.Duration(min(max(s, 0), 1e9) * float64(time.Second)).Round(time.Second).String()
}

// told is an evaluation for the page.
type told struct {
	Step       int
	Loss, Bits string
	Text       string
}

// samples are a run's evaluations, the newest first.
type samples struct {
	Named
	All []told
}

func (r *Named) samples() samples {
	out := samples{Named: *r}
	for _, s := range slices.Backward(r.Samples) {
		out.All = append(out.All, told{s.Step, shown("%.4f", r.Curve("valid_loss").on(s.Step)), shown("%.4f", r.Curve("valid_bits_per_byte").on(s.Step)), s.Text})
	}
	return out
}

// compared is a setting of one or several runs.
type compared struct {
	Name    string
	Values  []string
	Differs bool
}

// table is what the runs were told or found.
type table struct {
	Name string
	Runs []Named
	Rows []compared // of several runs those that differ
	Same []compared
}

// configuration are the tables of what the runs found and what they were told.
func configuration(runs []Named) []table {
	return []table{newTable("found", runs, facts), newTable("told", runs, flags)}
}

func newTable(name string, runs []Named, of func(Start) []Fact) table {
	t := table{Name: name, Runs: runs}
	for _, row := range compare(runs, of) {
		if row.Differs || len(runs) == 1 {
			t.Rows = append(t.Rows, row)
		} else {
			t.Same = append(t.Same, row)
		}
	}
	return t
}

// compare makes rows of those that of gives of each run, in the order in which they
// first come.
func compare(runs []Named, of func(Start) []Fact) (rows []compared) {
	at := map[string]int{}
	for i, r := range runs {
		for _, f := range of(r.Start()) {
			if _, known := at[f.Name]; !known {
				at[f.Name] = len(rows)
				rows = append(rows, compared{f.Name, make([]string, len(runs)), false})
			}
			rows[at[f.Name]].Values[i] = f.Value
		}
	}
	for i, row := range rows {
		rows[i].Differs = slices.ContainsFunc(row.Values, func(v string) bool { return v != row.Values[0] })
	}
	return rows
}

func facts(s Start) []Fact { return s.Facts }

// flags are the settings in the order of their names.
func flags(s Start) (all []Fact) {
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		all = append(all, Fact{name, s.Settings[name]})
	}
	return all
}
