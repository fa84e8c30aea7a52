package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/kernels"
)

// diagnosis is what ingot doctor finds.
type diagnosis struct {
	Machine *machine `json:"machine"`
	// Library is why there are no native kernels, "" where there are.
	Library string        `json:"library_error,omitzero"`
	Tables  []tableHealth `json:"tables"` // best first
	Chosen  string        `json:"chosen"`
	Why     string        `json:"why"`
	// Activations is the form in which the chosen table likes activations.
	Activations string       `json:"activations"`
	Single      *measurement `json:"one_thread,omitzero"`
	All         *measurement `json:"all_threads,omitzero"` // nil where Library is set
	Advice      []string     `json:"advice"`
}

// tableHealth is a kernel table's self-test.
type tableHealth struct {
	Name   string  `json:"name"`
	Error  string  `json:"error,omitzero"`
	Millis float64 `json:"self_test_ms"`
}

// measurement is kernels.Peaks in the units that people use; 0 where the processor lacks
// the instruction.
type measurement struct {
	Threads int     `json:"threads"`
	ReadGBs float64 `json:"read_gb_s"` // 10^9 bytes a second
	F32     float64 `json:"f32_gflop_s"`
	BF16    float64 `json:"bf16_gflop_s"`
	Int8    float64 `json:"int8_gop_s"`
	AMXBF16 float64 `json:"amx_bf16_gflop_s"`
	AMXInt8 float64 `json:"amx_int8_gop_s"`
}

func doctorCommand() *cobra.Command {
	var asJSON bool
	var threads int
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this machine and say what would make it faster",
		Long: `Examines this machine: what the processor can do, which kernel table is used and
why, whether it proves itself against the reference, how fast memory and products
are as measured, and what would make it faster. Other programs that run meanwhile
lower the figures.`,
		Example: "  ingot doctor\n  ingot doctor --json",
		Args:    cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := diagnose(threads, 4*peakTime, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(d)
			}
			return d.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().IntVar(&threads, "threads", 0, "threads (0: one for each processor)")
	return cmd
}

// diagnose examines the machine, spending each on every peak; stderr gets the progress.
func diagnose(threads int, each time.Duration, stderr io.Writer) (*diagnosis, error) {
	lib := kernels.Open(threads, kernels.Options{})
	defer lib.Close()
	d := &diagnosis{Machine: readMachine("/")}
	if err := lib.Err(); err != nil {
		d.Library = err.Error()
	}
	p := cli.NewProgress(stderr, "examining this machine", false)
	defer p.Done()
	total := int64(len(lib.Tables()) + 2)
	for i, t := range lib.Tables() {
		d.test(t)
		p.Set(int64(i+1), total)
	}
	if d.Library == "" {
		var err error
		if d.Single, err = measure(lib, 1, each); err != nil {
			return nil, err
		}
		p.Set(total-1, total)
		if d.All, err = measure(lib, lib.Threads(), each); err != nil {
			return nil, err
		}
	}
	d.Advice = d.advise()
	return d, nil
}

// test runs a table's self-test; the first that passes is chosen.
func (d *diagnosis) test(t *kernels.Table) {
	start := time.Now()
	err := t.SelfTest()
	h := tableHealth{Name: t.Name, Millis: float64(time.Since(start).Microseconds()) / 1000}
	if err != nil {
		h.Error = err.Error()
	} else if d.Chosen == "" {
		d.Chosen, d.Activations, d.Why = t.Name, t.Prefers().String(), d.why()
	}
	d.Tables = append(d.Tables, h)
}

// why explains the choice of the table after those that have been tested.
func (d *diagnosis) why() string {
	switch {
	case d.Library != "":
		return "there are no native kernels: " + d.Library
	case len(d.Tables) > 0:
		return "faster ones failed their self-test"
	}
	return "the fastest that this processor runs, and its results agree with the reference"
}

func measure(lib *kernels.Library, threads int, each time.Duration) (*measurement, error) {
	p, err := lib.Measure(threads, each)
	if err != nil {
		return nil, fmt.Errorf("cannot measure this machine: %w", err)
	}
	const giga = 1e9
	return &measurement{threads, p.ReadBytes / giga, p.F32 / giga, p.BF16 / giga, p.Int8 / giga, p.AMXBF16 / giga, p.AMXInt8 / giga}, nil
}

// print shows the diagnosis to people.
func (d *diagnosis) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	m := d.Machine
	fmt.Fprintf(w, "processor\t%s, %d processors, %d threads used\n", cmp.Or(m.CPU, "unknown"), m.Processors, m.Threads)
	fmt.Fprintf(w, "features\t%s\n", cmp.Or(strings.Join(m.Features, " "), "none that kernels use"))
	fmt.Fprintf(w, "memory\t%s, %s available%s\n", engine.Size(m.Memory), engine.Size(m.Available), m.limitText())
	fmt.Fprintf(w, "huge pages\t%s\n", cmp.Or(m.HugePages, "unknown"))
	fmt.Fprintf(w, "native kernels\t%s\n", cmp.Or(d.Library, "loaded"))
	for _, t := range d.Tables {
		fmt.Fprintf(w, "table %s\t%s\n", t.Name, t.verdict())
	}
	fmt.Fprintf(w, "chosen\t%s with %s activations: %s\n", d.Chosen, d.Activations, d.Why)
	for _, p := range []*measurement{d.Single, d.All} {
		if p != nil {
			fmt.Fprintf(w, "measured\t%s\n", p)
		}
	}
	for _, a := range d.Advice {
		fmt.Fprintf(w, "advice\t%s\n", a)
	}
	return w.Flush()
}

func (m *machine) limitText() string {
	if m.MemoryLimit == 0 {
		return ""
	}
	return fmt.Sprintf(", limited to %s by the control group", engine.Size(m.MemoryLimit))
}

func (h *tableHealth) verdict() string {
	switch {
	case h.Error != "":
		return "self-test FAILED: " + h.Error
	case h.Name == kernels.Reference.Name:
		return "plain Go, what the others are tested against"
	}
	return fmt.Sprintf("self-test passed in %.1f ms", h.Millis)
}

// String lists what the processor has.
func (p *measurement) String() string {
	out := fmt.Sprintf("by %d threads: memory %.1f GB/s", p.Threads, p.ReadGBs)
	if p.Threads == 1 {
		out = fmt.Sprintf("by one thread: memory %.1f GB/s", p.ReadGBs)
	}
	for _, peak := range []struct {
		name  string
		giga  float64
		terms string
	}{{"f32", p.F32, "GFLOP/s"}, {"bf16", p.BF16, "GFLOP/s"}, {"int8", p.Int8, "GOP/s"}, {"AMX bf16", p.AMXBF16, "GFLOP/s"}, {"AMX int8", p.AMXInt8, "GOP/s"}} {
		if peak.giga > 0 {
			out += fmt.Sprintf(", %s %.0f %s", peak.name, peak.giga, peak.terms)
		}
	}
	return out
}
