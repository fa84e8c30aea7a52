package train

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/train/board"
)

// start is what the run's log says of this process as it begins.
func (r *run) start(cmd *cobra.Command) board.Start {
	return board.Start{Time: time.Now(), Command: cmd.Name(), From: r.step, Steps: r.steps, Rate: r.rate, Facts: r.facts(), Settings: flagValues(cmd.Flags())}
}

// facts are what the flags do not tell of the model, the data and the machine.
func (r *run) facts() []board.Fact {
	c, e := r.pass.model.Config, r.estimate
	kernels := r.table.Name
	if e.Peak > 0 {
		kernels += fmt.Sprintf(", peak %.0f GFLOP/s", e.Peak/1e9)
	}
	return []board.Fact{
		{Name: "parameters", Value: fmt.Sprintf("%.2f M", float64(e.Parameters)/1e6)},
		{Name: "model", Value: fmt.Sprintf("%s, %d layers, width %d, %d heads, context %d", c.Arch, c.Layers, c.Dim, c.Heads, r.context)},
		{Name: "vocabulary", Value: fmt.Sprint(r.text.Vocab())},
		{Name: "tokens of the run", Value: fmt.Sprintf("%.2f M in %d steps", float64(e.Tokens)/1e6, r.steps)},
		{Name: "tokens of the data", Value: fmt.Sprintf("%.2f M", float64(r.dataTokens())/1e6)},
		{Name: "memory", Value: fmt.Sprintf("%s of state, up to %s of activations, %s to save from", engine.Size(e.State), engine.Size(e.Activations), engine.Size(e.Copy))},
		{Name: "work", Value: fmt.Sprintf("%.3g FLOP, %.3g a token", e.FLOPs*float64(e.Tokens), e.FLOPs)},
		{Name: "processor", Value: fmt.Sprintf("%s, %d threads", engine.Processor("/"), r.lib.Threads())},
		{Name: "kernels", Value: kernels},
	}
}

// dataTokens counts the tokens of the shards, the held-back ones included.
func (r *run) dataTokens() (n int64) {
	for _, s := range r.shards {
		n += s.Header.Tokens
	}
	return n
}

// flagValues are the flags that have a value.
func flagValues(f *pflag.FlagSet) map[string]string {
	values := map[string]string{}
	f.VisitAll(func(f *pflag.Flag) {
		if v := f.Value.String(); strings.Trim(v, "[]") != "" && f.Name != "help" {
			values[f.Name] = v
		}
	})
	return values
}
