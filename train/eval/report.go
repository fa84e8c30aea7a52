package eval

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report prints results as they come: a JSON object a line, or a table for people.
type report struct {
	out   io.Writer
	json  bool
	model string
	rows  int
}

func (p *report) write(r *Result) error {
	if p.json {
		return json.NewEncoder(p.out).Encode(struct {
			Kind  string `json:"kind"` // "eval"
			Model string `json:"model"`
			*Result
		}{"eval", p.model, r})
	}
	if p.rows == 0 {
		fmt.Fprintf(p.out, "%s\n%s\n", p.model, line("task", "shots", "samples", "metric", "value", "stderr"))
	}
	for _, m := range r.Metrics {
		p.rows++
		stderr := ""
		if m.StdErr != nil {
			stderr = fmt.Sprintf("± %.4f", *m.StdErr)
		}
		if _, err := fmt.Fprintln(p.out, line(r.Task, r.Shots, r.Samples, m.Name, fmt.Sprintf("%.4f", m.Value), stderr)); err != nil {
			return err
		}
	}
	return nil
}

// line is a row of the table.
func line(task, shots, samples, metric, value, stderr any) string {
	return strings.TrimRight(fmt.Sprintf("%-16v %5v %7v  %-28v %10v %10v", task, shots, samples, metric, value, stderr), " ")
}

// list prints what tasks there are.
func list(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "task\tkind\tshots\tmetrics\tfile\tabout")
	for _, t := range Tasks() {
		file := t.File
		if file == "" {
			file = "--file"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", t.Name, t.Kind, t.Shots, strings.Join(t.Metrics, ", "), file, t.About)
	}
	return w.Flush()
}
