package bench

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/ingot-llm/ingot/kernels"
)

// operationTime is what the instructions of one kind took of a measurement.
type operationTime struct {
	Operation string  `json:"operation"` // with the weight that it reads, whatever the layer
	Count     int     `json:"count"`     // instructions in a step
	Micros    float64 `json:"step_us"`   // all of them together, mean of the steps
	Share     float64 `json:"share"`     // of the time of all operations
}

// profiler times the operations of a runner between two calls of take.
type profiler struct {
	program *kernels.Program
	runner  *kernels.Runner
	before  []uint64
}

func newProfiler(p *kernels.Program, r *kernels.Runner) *profiler {
	r.Profile(true)
	return &profiler{program: p, runner: r, before: slices.Clone(r.Nanos())}
}

var layerPrefix = regexp.MustCompile(`blk\.\d+\.`)

// take returns what the steps since the last call took, the longest first. A nil
// profiler takes nothing.
func (p *profiler) take(steps int) []operationTime {
	if p == nil {
		return nil
	}
	now, total := p.runner.Nanos(), 0.0
	byName := map[string]*operationTime{}
	for i := range p.program.Instrs {
		name := layerPrefix.ReplaceAllString(p.program.Describe(i), "")
		o := byName[name]
		if o == nil {
			o = &operationTime{Operation: name}
			byName[name] = o
		}
		micros := float64(now[i]-p.before[i]) / float64(steps) / float64(time.Microsecond)
		o.Count++
		o.Micros += micros
		total += micros
	}
	copy(p.before, now)
	var out []operationTime
	for _, o := range byName {
		o.Share = o.Micros / total
		out = append(out, *o)
	}
	slices.SortFunc(out, longestFirst)
	return out
}

func longestFirst(a, b operationTime) int {
	return cmp.Or(cmp.Compare(b.Micros, a.Micros), cmp.Compare(a.Operation, b.Operation))
}

// writeProfile prints where the time of a measurement went.
func writeProfile(out io.Writer, r result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s of %d, a step's operations\tcount\tms\tshare\t\n", r.Kind, r.Batch)
	for _, o := range r.Profile {
		fmt.Fprintf(w, "%s\t%d\t%.3f\t%.1f %%\t\n", o.Operation, o.Count, o.Micros/1000, 100*o.Share)
	}
	return w.Flush()
}
