package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// kernelResult is one operation's speed. Limits are 0, and left out of JSON, where the
// machine could not be measured and for operations on activations, which stay in caches.
type kernelResult struct {
	Op          string  `json:"op"`
	Type        string  `json:"type"`
	Shape       string  `json:"shape"`
	Rows        int     `json:"rows"`
	Table       string  `json:"table"`
	Activations string  `json:"activations"`
	Threads     int     `json:"threads"`
	Micros      float64 `json:"us"` // of one operation, median
	GFLOPS      float64 `json:"gflop_s,omitzero"`
	GBs         float64 `json:"gb_s"` // weights, cache and activations, 10^9 bytes a second
	LimitMicros float64 `json:"limit_us,omitzero"`
	LimitShare  float64 `json:"limit_share,omitzero"`
	Bound       string  `json:"bound,omitzero"` // "memory" or "products": what sets the limit
}

// result sums up the run.
func (r *kernelRun) result(threads int, peaks kernels.Peaks) kernelResult {
	seconds := median(r.times).Seconds()
	bytes, flops := r.bytes(), r.flops()
	out := kernelResult{
		Op: r.c.op.name, Type: r.c.typeName(), Shape: r.c.shapeText(), Rows: r.c.rows, Table: r.table.Name,
		Activations: r.act.String(), Threads: threads, Micros: seconds * 1e6, GFLOPS: flops / seconds / 1e9, GBs: bytes / seconds / 1e9,
	}
	if peaks.ReadBytes == 0 || r.table == kernels.Reference || !r.c.op.reads {
		return out
	}
	limit := bytes / peaks.ReadBytes
	out.Bound = "memory"
	if peak := r.peak(peaks); peak > 0 && flops/peak > limit {
		limit, out.Bound = flops/peak, "products"
	}
	out.LimitMicros, out.LimitShare = limit*1e6, limit/seconds
	return out
}

// peak returns the measured peak of the products; those of attention are in f32.
func (r *kernelRun) peak(p kernels.Peaks) float64 {
	if r.c.op.types != weightType {
		return p.F32
	}
	return weightPeak(r.c.dtype, r.table, r.act, p)
}

// flops returns the operations of one repetition's products.
func (r *kernelRun) flops() float64 {
	one := *r.program
	one.Instrs = r.program.Instrs[r.counted[0]:][:1]
	seen := r.c.context
	if !r.c.op.decode {
		seen -= (r.c.rows - 1) / 2 // each row sees those before it
	}
	return float64(one.FLOPs(r.c.rows, r.c.rows, seen))
}

// bytes returns what one repetition reads and writes.
func (r *kernelRun) bytes() float64 {
	in := r.program.Instrs[r.counted[0]]
	total := r.cacheBytes()
	for _, v := range append(in.In[:], in.Out[:]...) {
		if v < 0 {
			continue
		}
		switch o := &r.program.Operands[v]; o.Kind {
		case kernels.Weight:
			total += float64(len(o.Data)) * r.weightShare(o)
		case kernels.Activation, kernels.View:
			total += float64(r.units(o.Per)*o.Rows*o.Cols) * elementBytes(o.DType)
		}
	}
	return total
}

func (r *kernelRun) units(p kernels.Per) int {
	if p == kernels.PerSeq {
		return len(r.batch.SeqLen)
	}
	return r.c.rows
}

// cacheBytes returns the bytes of the cache that one repetition reads, or stores.
func (r *kernelRun) cacheBytes() float64 {
	if r.c.op.types != cacheType {
		return 0
	}
	tokens := r.c.rows
	if r.c.op.reads {
		tokens = len(r.batch.SeqLen) * r.c.context
	}
	return float64(tokens) * float64(r.program.Layers[0].BlockBytes()) / kernels.BlockTokens
}

// weightShare returns the part of a weight that one repetition reads.
func (r *kernelRun) weightShare(o *kernels.Operand) float64 {
	switch r.c.op.name {
	case "embed":
		return float64(r.c.rows) / float64(o.Rows)
	case "expert_linear":
		return min(1, float64(r.c.rows*expertsUsed)/experts)
	}
	return 1
}

func elementBytes(d quant.DType) float64 {
	switch d {
	case kernels.PackBF16:
		return 2
	case kernels.PackInt8:
		return 1 + 4.0/quant.ActBlock
	}
	return 4
}

// kernelWriter prints results as they come: JSON lines, or a table for people.
type kernelWriter struct {
	out    io.Writer
	json   bool
	tables int
	table  *tabwriter.Writer
}

// write prints one case's results, one of each table.
func (w *kernelWriter) write(results []kernelResult) error {
	if w.json {
		return printLines(w.out, results)
	}
	if w.table == nil {
		w.header(results)
	}
	r := results[0]
	fmt.Fprintf(w.table, "%s\t%s\t%s\t%d\t", r.Op, r.Type, r.Shape, r.Rows)
	for i, r := range results {
		fmt.Fprintf(w.table, "%s\t%s\t%.1f\t%s\t", micros(r.Micros), figure(r.GFLOPS), r.GBs, percent(r.LimitShare))
		if i > 0 {
			fmt.Fprintf(w.table, "%.2fx\t", r.Micros/results[0].Micros)
		}
	}
	_, err := fmt.Fprintln(w.table)
	return err
}

func (w *kernelWriter) header(results []kernelResult) {
	w.table = tabwriter.NewWriter(w.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, r := range results {
		fmt.Fprintf(w.out, "table %d: %s, %s activations, %d threads\n", i+1, r.Table, r.Activations, r.Threads)
	}
	fmt.Fprint(w.table, "operation\ttype\tshape\trows\t")
	for i := range results {
		fmt.Fprintf(w.table, "%d: time\tGFLOP/s\tGB/s\tof limit\t", i+1)
		if i > 0 {
			fmt.Fprintf(w.table, "%d / 1\t", i+1)
		}
	}
	fmt.Fprintln(w.table)
}

// close prints what is left of a table.
func (w *kernelWriter) close() error {
	if w.table == nil {
		return nil
	}
	return w.table.Flush()
}

func micros(us float64) string {
	return time.Duration(us * 1e3).Round(time.Duration(max(1, us)) * 10).String()
}

func percent(share float64) string {
	if share == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}
