package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/kernels"
)

// limit is what some threads reach with memory in pages of one size.
type limit struct {
	Pages string `json:"pages"` // "4 KiB" or "2 MiB": asked for, the system decides
	measurement
}

func limitsCommand() *cobra.Command {
	var threads, millis int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "Measure how fast this machine reads memory and multiplies",
		Long: `Measures what bounds every model here: the bytes that one thread and all threads
read from memory in a second, in pages of 4 KiB and of 2 MiB, and the operations
that each multiplication instruction does in a second. Every other figure of
ingot bench is a share of these. Run it while nothing else does.`,
		Example: "  ingot bench limits\n  ingot bench limits --millis 1000 --json",
		Args:    cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if threads < 0 || millis < 1 {
				return cli.Usagef("--threads is %d and --millis %d, want at least 0 and at least 1", threads, millis)
			}
			all, err := measureLimits(threads, time.Duration(millis)*time.Millisecond, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if asJSON {
				return printLines(cmd.OutOrStdout(), all)
			}
			return printLimits(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	cmd.Flags().IntVar(&millis, "millis", 300, "time for each figure in `milliseconds`")
	cmd.Flags().IntVar(&threads, "threads", 0, "all threads (0: one for each processor)")
	return cmd
}

// measureLimits measures one thread and all of them, each with small and large pages.
func measureLimits(threads int, each time.Duration, stderr io.Writer) ([]limit, error) {
	lib := kernels.Open(threads, kernels.Options{})
	defer lib.Close()
	p := cli.NewProgress(stderr, "measuring this machine", false)
	defer p.Done()
	counts := []int{1, lib.Threads()}
	if lib.Threads() == 1 {
		counts = counts[:1]
	}
	var out []limit
	for _, n := range counts {
		for _, huge := range []bool{false, true} {
			l, err := measurePages(lib, n, huge, each)
			if err != nil {
				return nil, err
			}
			out = append(out, l)
			p.Set(int64(len(out)), int64(2*len(counts)))
		}
	}
	return out, nil
}

// measurePages measures with the process's large pages switched off, or as they are.
func measurePages(lib *kernels.Library, threads int, huge bool, each time.Duration) (limit, error) {
	l := limit{Pages: "2 MiB"}
	if !huge {
		l.Pages = "4 KiB"
		if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0); err != nil {
			return l, fmt.Errorf("cannot switch large pages off: %w", err)
		}
		defer unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0)
	}
	m, err := measure(lib, threads, each)
	if err == nil {
		l.measurement = *m
	}
	return l, err
}

// printLines prints values as JSON, one a line.
func printLines[T any](out io.Writer, values []T) error {
	enc := json.NewEncoder(out)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

func printLimits(out io.Writer, all []limit) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "threads\tpages\tread GB/s\tf32\tbf16\tint8\tAMX bf16\tAMX int8\t\n")
	for _, l := range all {
		fmt.Fprintf(w, "%d\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t\n", l.Threads, l.Pages, l.ReadGBs,
			figure(l.F32), figure(l.BF16), figure(l.Int8), figure(l.AMXBF16), figure(l.AMXInt8))
	}
	fmt.Fprint(w, "\t\t\tGFLOP/s\tGFLOP/s\tGOP/s\tGFLOP/s\tGOP/s\t\n")
	return w.Flush()
}

// figure shows a peak; the processor may lack the instruction.
func figure(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", v)
}
