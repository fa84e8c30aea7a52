package board

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"time"
)

// LogName is the log's file in a run's folder.
const LogName = "log.jsonl"

// Start is the line that a process writes when it begins to work on a run.
type Start struct {
	Time     time.Time         `json:"time"`
	Command  string            `json:"command"`  // pretrain, sft
	From     int               `json:"from"`     // steps that were made before
	Steps    int               `json:"steps"`    // of the whole run
	Rate     float64           `json:"lr"`       // the learning rate's peak
	Facts    []Fact            `json:"facts"`    // model, data and machine
	Settings map[string]string `json:"settings"` // flags by name
}

// Fact is a row of a table.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Evaluation is the line about what a model was worth at a step.
type Evaluation struct {
	Step        int     `json:"step"`
	Loss        float64 `json:"valid_loss,omitempty"` // nats for each target
	BitsPerByte float64 `json:"valid_bits_per_byte,omitempty"`
	Sample      string  `json:"sample"`
}

// Sample is a text that the model went on with at a step.
type Sample struct {
	Step int
	Text string
}

// Mark is something that happened at a step, named by its field in the log: "skipped".
type Mark struct {
	Step   int
	Name   string
	Reason string // "" if the log gives none
}

// Run is what a log tells. A step that comes again, after a process went on from an older
// checkpoint, takes the place of what was there. One goroutine.
type Run struct {
	Starts  []Start
	Samples []Sample
	Marks   []Mark
	Damaged int // lines that could not be read

	curves  map[string]*Curve
	seconds float64 // of the process that wrote last, as its log says
}

// A log may hold anything: maxFigures is how many curves a run may have, and a number
// beyond largest is no figure.
const (
	maxFigures = 64
	largest    = 1e30
)

// Curve returns the figure with the name that it has in the log, nil where there is none.
// "tokens" and "seconds" add up over the run.
func (r *Run) Curve(name string) *Curve { return r.curves[name] }

// Start returns the newest process's line, an empty one if the log has none.
func (r *Run) Start() Start {
	if len(r.Starts) == 0 {
		return Start{}
	}
	return r.Starts[len(r.Starts)-1]
}

// Step returns the last step of training.
func (r *Run) Step() (last int) {
	for _, c := range r.curves {
		if n := len(c.Steps); n > 0 {
			last = max(last, c.Steps[n-1])
		}
	}
	return last
}

// Add reads the lines of text; the last one may lack its end only at a log's.
func (r *Run) Add(text []byte) {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !r.add(line) {
			r.Damaged++
		}
	}
}

// add reads one line and reports whether it is sound.
func (r *Run) add(line []byte) bool {
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return false
	}
	if _, begins := fields["run"]; begins {
		return r.begin(line)
	}
	at, ok := fields["step"].(float64)
	if !ok || at < 0 || at != math.Trunc(at) || at > math.MaxInt32 {
		return false
	}
	step := int(at)
	delete(fields, "step")
	if fields["skipped"] == true { // loss and norm were no numbers, and the log has zeros
		delete(fields, "loss")
		delete(fields, "grad_norm")
	}
	reason, _ := fields["reason"].(string)
	for name, value := range fields {
		switch v := value.(type) {
		case float64:
			r.figure(name, step, v)
		case bool:
			r.mark(Mark{step, name, reason}, v)
		case string:
			r.sample(name, step, v)
		}
	}
	return true
}

// begin reads a Start and undoes the steps that its process will make again.
func (r *Run) begin(line []byte) bool {
	var begun struct{ Run Start }
	if json.Unmarshal(line, &begun) != nil || !(math.Abs(begun.Run.Rate) <= largest) {
		return false
	}
	s := begun.Run
	for _, c := range r.curves {
		c.cut(s.From)
	}
	r.Samples = cut(r.Samples, s.From, func(s Sample) int { return s.Step })
	r.Marks = cut(r.Marks, s.From, func(m Mark) int { return m.Step })
	if s.From == 0 {
		r.Starts = nil
	}
	r.Starts, r.seconds = append(r.Starts, s), math.Inf(1)
	return true
}

// cut returns rows without those after a step.
func cut[T any](rows []T, step int, of func(T) int) []T {
	for len(rows) > 0 && of(rows[len(rows)-1]) > step {
		rows = rows[:len(rows)-1]
	}
	return rows
}

func (r *Run) figure(name string, step int, v float64) {
	c := r.curves[name]
	if c == nil {
		if len(r.curves) == maxFigures {
			return
		}
		if r.curves == nil {
			r.curves = map[string]*Curve{}
		}
		c = &Curve{}
		r.curves[name] = c
	}
	c.cut(step - 1)
	switch name {
	case "tokens":
		v += c.Last()
	case "seconds":
		v = r.elapsed(c.Last(), v)
	}
	if math.Abs(v) <= largest {
		c.Steps, c.Values = append(c.Steps, step), append(c.Values, v)
	}
}

// elapsed adds what the process has taken since its last line to what the run had taken.
func (r *Run) elapsed(total, seconds float64) float64 {
	since := seconds
	if seconds >= r.seconds {
		since -= r.seconds
	}
	r.seconds = seconds
	return total + since
}

func (r *Run) mark(m Mark, happened bool) {
	r.Marks = cut(r.Marks, m.Step, func(m Mark) int { return m.Step })
	if happened && !slices.Contains(r.Marks, m) {
		r.Marks = append(r.Marks, m)
	}
}

func (r *Run) sample(name string, step int, text string) {
	if name == "sample" {
		r.Samples = append(cut(r.Samples, step-1, func(s Sample) int { return s.Step }), Sample{step, text})
	}
}
