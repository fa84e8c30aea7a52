package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// accuracyResult is what one type of weights with one mode of activations predicts.
type accuracyResult struct {
	Kind        string  `json:"kind"` // "accuracy"
	Model       string  `json:"model"`
	Type        string  `json:"type"`        // the mix
	Stored      string  `json:"stored"`      // the types that the weights have in it
	Activations string  `json:"activations"` // f32, bf16 or int8
	Table       string  `json:"table"`
	Tokens      int     `json:"tokens"` // predicted
	Perplexity  float64 `json:"perplexity"`
	KL          float64 `json:"kl"`   // from F32: mean over the tokens, nats
	Top1        float64 `json:"top1"` // share of tokens with F32's likeliest next one
	VsBF16      *shift  `json:"vs_bf16,omitempty"`
}

// shift is how far int8 activations move predictions from those of bf16 activations at
// the same weights.
type shift struct {
	KL   float64 `json:"kl"`
	Top1 float64 `json:"top1"`
}

// storedTypes names the types that have a hundredth or more of the weights' bytes, the
// largest share first: "Q8_0+Q4_0".
func storedTypes(p *kernels.Program) string {
	bytes := map[quant.DType]int{}
	total := 0
	for _, o := range p.Operands {
		if o.Kind == kernels.Weight {
			bytes[o.DType] += len(o.Data)
			total += len(o.Data)
		}
	}
	var names []string
	for _, d := range slices.SortedFunc(maps.Keys(bytes), func(a, b quant.DType) int { return bytes[b] - bytes[a] }) {
		if bytes[d] >= total/100 {
			names = append(names, d.String())
		}
	}
	return strings.Join(names, "+")
}

// accuracyWriter prints results as they come: JSON lines, or a table for people.
type accuracyWriter struct {
	json  *json.Encoder
	table *tabwriter.Writer
	rows  int
}

func newAccuracyWriter(out io.Writer, asJSON bool) *accuracyWriter {
	if asJSON {
		return &accuracyWriter{json: json.NewEncoder(out)}
	}
	return &accuracyWriter{table: tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
}

func (w *accuracyWriter) write(r accuracyResult) error {
	if w.json != nil {
		return w.json.Encode(r)
	}
	if w.rows == 0 {
		fmt.Fprintf(w.table, "%s, table %s, %d tokens\n", r.Model, r.Table, r.Tokens)
		fmt.Fprint(w.table, "type\tstored\tactivations\tperplexity\tKL vs F32\ttop1 vs F32\tKL vs bf16\ttop1 vs bf16\t\n")
	}
	w.rows++
	shifted := "\t\t"
	if r.VsBF16 != nil {
		shifted = fmt.Sprintf("%.6f\t%.2f %%\t", r.VsBF16.KL, 100*r.VsBF16.Top1)
	}
	_, err := fmt.Fprintf(w.table, "%s\t%s\t%s\t%.4f\t%.6f\t%.2f %%\t%s\n", r.Type, r.Stored, r.Activations, r.Perplexity, r.KL, 100*r.Top1, shifted)
	return err
}

// close prints what is left of a table.
func (w *accuracyWriter) close() error {
	if w.table == nil {
		return nil
	}
	return w.table.Flush()
}
