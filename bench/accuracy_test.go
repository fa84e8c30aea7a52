package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// accuracyOf runs ingot bench accuracy on a text and returns its results.
func accuracyOf(t *testing.T, text string, args ...string) (out []accuracyResult) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	printed, _, err := command(append([]string{"bench", "accuracy", "--json", "--file", file}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(printed) {
		var r accuracyResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// TestAccuracy: the trained model's F32 perplexity is an independent program's, and the
// modes stand in the order of their rounding.
func TestAccuracy(t *testing.T) {
	dir := quanttest.Shared(t, "data", "models", "stories260K")
	var want struct {
		NLL []struct {
			Text string
			IDs  []int32
			Mean float64 `json:"mean_nll"`
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range want.NLL {
		all := accuracyOf(t, n.Text, "--model", dir, "--type", "F32,BF16,Q8_0,Q4_0")
		var rows []string
		for _, r := range all {
			rows = append(rows, r.Type+" "+r.Activations)
			if r.Tokens != len(n.IDs)-1 || r.Model != "stories260K" || r.Top1 < 0 || r.Top1 > 1 || (r.VsBF16 != nil) != (r.Activations == "int8") {
				t.Errorf("%q: result %+v", n.Text, r)
			}
		}
		if !slices.Equal(rows, []string{"F32 f32", "BF16 bf16", "Q8_0 bf16", "Q8_0 int8", "Q4_0 bf16", "Q4_0 int8"}) {
			t.Fatalf("results %v", rows)
		}
		f32, bf16, q8, q8int8, q4 := all[0], all[1], all[2], all[3], all[4]
		if math.Abs(math.Log(f32.Perplexity)-n.Mean) > 1e-3 || f32.KL != 0 || f32.Top1 != 1 {
			t.Errorf("%q in F32: %+v, want perplexity e^%v and no divergence", n.Text, f32, n.Mean)
		}
		if !(0 < bf16.KL && bf16.KL < q8.KL && q8.KL < q8int8.KL && q8int8.KL < q4.KL) {
			t.Errorf("%q: KL of BF16 %v, Q8_0 %v, Q8_0 in int8 %v, Q4_0 %v, want them to rise", n.Text, bf16.KL, q8.KL, q8int8.KL, q4.KL)
		}
		if v := q8int8.VsBF16; !(0 < v.KL && v.KL < q4.KL) {
			t.Errorf("%q: int8 activations move Q8_0 by %+v", n.Text, v)
		}
	}
}

// TestAccuracyShape: a model without a tokenizer predicts words, and no two tokens are
// equally likely because their rows are equal.
func TestAccuracyShape(t *testing.T) {
	text := strings.Repeat("a word or two that are no story ", 40)
	all := accuracyOf(t, text, "--shape", "llama-15m", "--type", "Q8_0", "--tokens", "300")
	if len(all) != 3 || all[0].Tokens != 298 || all[0].Stored != "F32" || all[2].Stored != "Q8_0" { // two windows of at most 257
		t.Fatalf("results %+v", all)
	}
	mix, _ := quant.ParseMix("F32")
	r := newRandomModel(small(shape.All()[0]), mix, nil)
	defer r.Close()
	r.distinct = math.MaxInt
	embd, err := r.Tensor("token_embd.weight")
	if err != nil {
		t.Fatal(err)
	}
	row := embd.DType.RowBytes(embd.Cols())
	seen := map[string]bool{}
	for at := 0; at < len(embd.Data); at += row {
		seen[string(embd.Data[at:at+row])] = true
	}
	if len(seen) != embd.Rows() {
		t.Errorf("%d of %d rows differ", len(seen), embd.Rows())
	}
}

func TestStoredTypes(t *testing.T) {
	weight := func(d quant.DType, n int) kernels.Operand {
		return kernels.Operand{Kind: kernels.Weight, DType: d, Data: make([]byte, n)}
	}
	p := &kernels.Program{Operands: []kernels.Operand{weight(quant.Q4_0, 300), weight(quant.Q8_0, 700), weight(quant.F32, 3), weight(quant.Q4_0, 1)}}
	if got := storedTypes(p); got != "Q8_0+Q4_0" {
		t.Errorf("stored types %s", got)
	}
}

func TestAccuracyErrors(t *testing.T) {
	check := func(usage bool, want string, args ...string) {
		t.Helper()
		out, _, err := command(append([]string{"bench", "accuracy"}, args...)...)
		if err == nil || (cli.ExitCode(err) == 2) != usage || out != "" || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v: %v, printed %q, want an error with %q", args, err, out, want)
		}
	}
	check(true, "--model FILE", "--file", "x")
	check(true, "--file TEXT", "--shape", "llama-15m")
	check(true, "--tokens is 1", "--shape", "llama-15m", "--file", "x", "--tokens", "1")
	check(true, "--threads is -1", "--shape", "llama-15m", "--file", "x", "--threads", "-1")
	check(true, `"Q9"`, "--shape", "llama-15m", "--file", "x", "--type", "Q9")
	check(true, `"gpt-9"`, "--shape", "gpt-9", "--file", "x")
	check(false, "no such file", "--shape", "llama-15m", "--file", filepath.Join(t.TempDir(), "none"))
	one := filepath.Join(t.TempDir(), "one.txt")
	if err := os.WriteFile(one, []byte("word"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(false, "the text has 1 token", "--shape", "llama-15m", "--file", one)
	check(false, "no next tokens", "--model", quanttest.Shared(t, "data", "models", "golden", "arch", "bert"), "--file", one)
}
