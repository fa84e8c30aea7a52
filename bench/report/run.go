// Package report turns the results of load tests into one page that needs nothing else:
// tables and charts in SVG, in light and dark, for one test or several side by side.
//
// A result file holds a Run a line, as JSON.
package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ingot-llm/ingot/bench/load"
)

// Run is one load test.
type Run struct {
	Name       string  `json:"name"` // what tells it from others of its file: "8 clients"
	URL        string  `json:"url"`
	Model      string  `json:"model,omitempty"`
	Arrivals   string  `json:"arrivals"`         // "closed loop", "poisson 4/s", ...
	Clients    int     `json:"clients"`          // of a closed loop, else the most at once
	Rate       float64 `json:"rate,omitzero"`    // requests a second that were meant to arrive
	Work       string  `json:"work"`             // prompts and answers, in words
	Objectives string  `json:"slo,omitempty"`    // of goodput and of the search
	Met        *bool   `json:"slo_met,omitzero"` // whether the search's objectives held
	load.Result
	RequestsPerSecond float64  `json:"req_s"`
	TokensPerSecond   float64  `json:"tok_s"`
	Goodput           float64  `json:"goodput_req_s"`
	Metrics           []Metric `json:"metrics,omitempty"`
}

// Verdict says in brackets whether the objectives held.
func (r *Run) Verdict() string {
	switch {
	case r.Met == nil:
		return ""
	case *r.Met:
		return "(met)"
	}
	return "(not met)"
}

// Metric is a server's figure over the time of a run.
type Metric struct {
	Name    string    `json:"name"`
	Seconds []float64 `json:"s"` // after the run's start
	Values  []float64 `json:"v"` // as many
}

// File is the runs of one file.
type File struct {
	Name string
	Runs []Run
}

// maxLine bounds a run: an hour of seconds takes a megabyte.
const maxLine = 256 << 20

// Read reads a result file; an error names the line.
func Read(r io.Reader) ([]Run, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var runs []Run
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var run Run
		if err := json.Unmarshal(lines.Bytes(), &run); err != nil {
			return nil, fmt.Errorf("line %d is no result of ingot bench serve --json: %w", n, err)
		}
		if run.Elapsed <= 0 || run.Arrivals == "" {
			return nil, fmt.Errorf("line %d is no result of ingot bench serve --json: it has no elapsed_ns or no arrivals", n)
		}
		if err := run.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		runs = append(runs, run)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, errors.New("there is no result in it")
	}
	return runs, nil
}

// check refuses what charts would stumble over.
func (r *Run) check() error {
	for _, m := range r.Metrics {
		if len(m.Seconds) != len(m.Values) {
			return fmt.Errorf("metric %q has %d times and %d values", m.Name, len(m.Seconds), len(m.Values))
		}
	}
	return nil
}
