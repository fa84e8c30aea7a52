package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
)

func compareCommand() *cobra.Command {
	var rounds int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare A B [--rounds N] -- ARGS",
		Short: "Compare two programs or builds by running them in turns",
		Long: `Runs A ARGS and B ARGS in turns, reads the JSON lines that they print, and reports
B's speed over A's with a 95 % interval (bootstrap over the rounds' ratios). What else
the machine does meets both alike, so small differences show.

A and B are programs, each with arguments of its own if quoted: "ingot" or
"python3 peer.py". A line counts that has tok_s; lines are matched by kind, batch,
prompt and context, as ingot bench model prints them.`,
		Example: `  ingot bench compare ./ingot-old ./ingot --rounds 7 -- bench model --shape smol-135m --batch 1,8 --json
  ingot bench compare "ingot bench model --table avx2" "ingot bench model --table auto" -- --shape smol-135m --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 3 {
				return cli.Usagef("compare needs A, B and, after --, their arguments")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if rounds < 3 {
				return cli.Usagef("--rounds is %d, want at least 3 for an interval", rounds)
			}
			if len(strings.Fields(args[0])) == 0 || len(strings.Fields(args[1])) == 0 {
				return cli.Usagef("A and B are programs, not empty")
			}
			p := cli.NewProgress(cmd.ErrOrStderr(), "comparing", false)
			c := comparison{programs: [2]string{args[0], args[1]}, args: args[2:], speeds: map[work]*[2][]float64{}}
			err := c.run(cmd.Context(), rounds, p)
			p.Done()
			if err != nil {
				return err
			}
			if asJSON {
				return printLines(cmd.OutOrStdout(), c.ratios())
			}
			return c.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&rounds, "rounds", 5, "runs of each program")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return cmd
}

// work is what tells lines of a program's output apart.
type work struct {
	Kind    string `json:"kind"`
	Batch   int    `json:"batch"`
	Prompt  int    `json:"prompt,omitzero"`
	Context int    `json:"context,omitzero"`
}

// comparison holds both programs' tokens a second, by work and round.
type comparison struct {
	programs [2]string
	args     []string
	order    []work // as first seen
	speeds   map[work]*[2][]float64
}

// ratio is B's speed over A's at one work.
type ratio struct {
	work
	A     float64 `json:"a_tok_s"` // median
	B     float64 `json:"b_tok_s"` // median
	Ratio float64 `json:"ratio"`   // geometric mean of the rounds' B / A
	Low   float64 `json:"low"`     // of its 95 % interval
	High  float64 `json:"high"`
}

// run alternates: A B, B A, A B, ..., so that a drift of the machine's speed cancels.
func (c *comparison) run(ctx context.Context, rounds int, p *cli.Progress) error {
	for i := range 2 * rounds {
		which := i % 2
		if i/2%2 == 1 {
			which = 1 - which
		}
		out, err := c.call(ctx, which)
		if err != nil {
			return err
		}
		if err := c.read(which, out); err != nil {
			return err
		}
		p.Set(int64(i+1), int64(2*rounds))
	}
	return c.check(rounds)
}

// call runs program which and returns what it printed.
func (c *comparison) call(ctx context.Context, which int) ([]byte, error) {
	words := append(strings.Fields(c.programs[which]), c.args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s failed: %w\n%s", strings.Join(words, " "), err, errs.Bytes())
	}
	return out, nil
}

// read adds the speeds of one run's lines.
func (c *comparison) read(which int, out []byte) error {
	found := false
	for line := range bytes.Lines(out) {
		var l struct {
			work
			TokS float64 `json:"tok_s"`
		}
		if json.Unmarshal(line, &l) != nil || l.TokS <= 0 {
			continue // something that the program tells people
		}
		found = true
		if c.speeds[l.work] == nil {
			c.speeds[l.work] = new([2][]float64)
			c.order = append(c.order, l.work)
		}
		c.speeds[l.work][which] = append(c.speeds[l.work][which], l.TokS)
	}
	if !found {
		return fmt.Errorf("%s %s printed no JSON line with tok_s: does it need --json?", c.programs[which], strings.Join(c.args, " "))
	}
	return nil
}

// check drops what only one program does, and fails where nothing is left.
func (c *comparison) check(rounds int) error {
	c.order = slices.DeleteFunc(c.order, func(w work) bool {
		s := c.speeds[w]
		return len(s[0]) != rounds || len(s[1]) != rounds
	})
	if len(c.order) == 0 {
		return fmt.Errorf("%s and %s did no work that has the same kind, batch, prompt and context", c.programs[0], c.programs[1])
	}
	return nil
}

func (c *comparison) ratios() (out []ratio) {
	for _, w := range c.order {
		a, b := c.speeds[w][0], c.speeds[w][1]
		r := ratio{work: w, A: middle(a), B: middle(b)}
		r.Ratio, r.Low, r.High = ratioInterval(a, b)
		out = append(out, r)
	}
	return out
}

func (c *comparison) print(out io.Writer) error {
	fmt.Fprintf(out, "A: %s\nB: %s\nwith: %s\n", c.programs[0], c.programs[1], strings.Join(c.args, " "))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\tbatch\tprompt\tcontext\tA tok/s\tB tok/s\tB / A\t95 % interval\t\n")
	for _, r := range c.ratios() {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.1f\t%.1f\t%.3f\t%.3f to %.3f\t\n", r.Kind, r.Batch, r.Prompt, r.Context, r.A, r.B, r.Ratio, r.Low, r.High)
	}
	return w.Flush()
}
