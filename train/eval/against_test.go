package eval

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// quantized writes the model at path in a mix and returns where.
func quantized(t *testing.T, path, mix string) string {
	t.Helper()
	src, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	m, err := quant.ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), mix+".gguf")
	if err := convert.ToGGUF(context.Background(), src, out, convert.Options{Mix: m}); err != nil {
		t.Fatal(err)
	}
	return out
}

// compared runs ingot eval --against and returns the metrics by name.
func compared(t *testing.T, model, reference string, args ...string) map[string]Metric {
	t.Helper()
	out, err := execute(t, append([]string{model, "--against", reference, "--tasks", "bpb", "--activations", "bf16", "--json"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	metrics := map[string]Metric{}
	for _, m := range r.Metrics {
		metrics[m.Name] = m
	}
	return metrics
}

// TestAgainst: a model against itself loses nothing, and its perplexity is the serving
// engine's; against what was quantized from it the order is that of the bits.
func TestAgainst(t *testing.T) {
	dir, _, s := stories(t)
	texts := t.TempDir()
	line := "Once upon a time there was a little girl who liked to play in the park with her dog. "
	write(t, texts, "short.txt", line)
	write(t, texts, "long.txt", strings.Repeat(line+"One day the dog ran away.\n", 60))
	short, long := filepath.Join(texts, "short.txt"), filepath.Join(texts, "long.txt")

	self := compared(t, dir, dir, "--file", short)
	l := score(t, s, "", line+"\n")[0] // write ends the text with a line end
	if self["kl_divergence"].Value != 0 || self["top1_agreement"].Value != 1 || self["kl_divergence"].StdErr != nil {
		t.Errorf("the model against itself: %+v", self)
	}
	want := math.Exp(-l.Logprob / float64(l.Tokens))
	for _, name := range []string{"perplexity", "reference_perplexity"} {
		if got := self[name].Value; math.Abs(got-want) > 1e-4*want {
			t.Errorf("%s is %v, and %v by the engine", name, got, want)
		}
	}

	q8, q4 := compared(t, quantized(t, dir, "Q8_0"), dir, "--file", long), compared(t, quantized(t, dir, "Q4_0"), dir, "--file", long)
	if a, b := q8["kl_divergence"].Value, q4["kl_divergence"].Value; !(0 < a && a < b) {
		t.Errorf("KL of Q8_0 is %v, of Q4_0 %v", a, b)
	}
	if a, b := q8["top1_agreement"].Value, q4["top1_agreement"].Value; !(b < a && a < 1) {
		t.Errorf("agreement of Q8_0 is %v, of Q4_0 %v", a, b)
	}
	if q4["reference_perplexity"].Value != q8["reference_perplexity"].Value || q4["kl_divergence"].StdErr == nil {
		t.Errorf("Q8_0 %+v, Q4_0 %+v", q8, q4)
	}
}

func TestAgainstErrors(t *testing.T) {
	stories := quanttest.Shared(t, "data", "models", "stories260K")
	other := quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied")
	dir := t.TempDir()
	write(t, dir, "text.txt", "a text of words")
	write(t, dir, "empty.txt", "\n")
	write(t, dir, "copa.jsonl", `{"query": "a, because", "choices": ["9", "99"], "gold": 0}`)
	file := filepath.Join(dir, "text.txt")
	for want, args := range map[string][]string{
		"different tokenizers":    {stories, "--against", other, "--tasks", "bpb", "--file", file},
		"compared over text":      {stories, "--against", stories, "--tasks", "copa", "--data", dir},
		"no such file":            {stories, "--against", filepath.Join(dir, "none.gguf"), "--tasks", "bpb", "--file", file},
		"not one at --url":        {stories, "--against", stories, "--url", "http://127.0.0.1:1", "--tasks", "bpb"},
		"predicts no next tokens": {quanttest.Shared(t, "data", "models", "golden", "arch", "bert"), "--against", stories, "--tasks", "bpb", "--file", file},
	} {
		if _, err := execute(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("eval %v: %v, want an error with %q", args, err, want)
		}
	}
}
