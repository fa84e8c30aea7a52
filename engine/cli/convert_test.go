package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

func TestInfo(t *testing.T) {
	var info checkpoint.Info
	if err := json.Unmarshal([]byte(succeed(t, "", "info", stories(t), "--json")), &info); err != nil {
		t.Fatal(err)
	}
	if info.Format != "llama2.c" || info.Architecture != "llama" || info.Parameters != 260032 || info.Layers != 5 || info.Embedding != 64 ||
		info.Heads != 8 || info.KVHeads != 4 || info.Vocabulary != 512 || info.Context != 512 || len(info.Tensors) != 47 {
		t.Errorf("stories260K is described as %+v", info)
	}
	text := succeed(t, "", "info", stories(t))
	if !strings.Contains(text, "260032") || strings.Contains(text, "blk.0.attn_q.weight") {
		t.Errorf("info prints\n%s", text)
	}
	if text = succeed(t, "", "info", stories(t), "--tensors"); !strings.Contains(text, "blk.4.attn_q.weight") {
		t.Errorf("info --tensors prints\n%s", text)
	}
	graph := succeed(t, "", "info", stories(t), "--graph")
	for _, want := range []string{"[T, 64]", "attention", "K4, V4", "[R, 512]", "linear"} {
		if !strings.Contains(graph, want) {
			t.Errorf("info --graph has no %q:\n%s", want, graph)
		}
	}
}

// TestConvertThereAndBack: llama2.c -> GGUF -> Hugging Face -> GGUF keeps every weight
// and the tokenizer.
func TestConvertThereAndBack(t *testing.T) {
	dir := t.TempDir()
	first, hf, second := filepath.Join(dir, "a.gguf"), filepath.Join(dir, "hf"), filepath.Join(dir, "b.gguf")
	succeed(t, "", "convert", stories(t), first)
	succeed(t, "", "convert", first, hf)
	succeed(t, "", "convert", hf, second)
	sameTensors(t, stories(t), first)
	sameTensors(t, first, second)
	const text = "Once upon a time, Zoë's dog <s> ran.\n"
	want := succeed(t, text, "tokenize", "--model", stories(t))
	for _, model := range []string{first, hf, second} {
		if got := succeed(t, text, "tokenize", "--model", model); got != want {
			t.Errorf("%s: ids %s, want %s", filepath.Base(model), got, want)
		}
	}
}

func sameTensors(t *testing.T, a, b string) {
	t.Helper()
	x, y := open(t, a), open(t, b)
	if len(x.Infos()) != len(y.Infos()) {
		t.Fatalf("%d tensors became %d", len(x.Infos()), len(y.Infos()))
	}
	for _, info := range x.Infos() {
		was, err := x.Tensor(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		is, err := y.Tensor(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		if was.DType != is.DType || !slices.Equal(was.Shape, is.Shape) || !bytes.Equal(was.Data, is.Data) {
			t.Errorf("%s changed from %v %v to %v %v", info.Name, was.DType, was.Shape, is.DType, is.Shape)
		}
	}
}

func open(t *testing.T, path string) quant.Source {
	t.Helper()
	src, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func TestQuantize(t *testing.T) {
	dir := t.TempDir()
	small, smaller := filepath.Join(dir, "q8.gguf"), filepath.Join(dir, "q4.gguf")
	text := succeed(t, "", "quantize", stories(t), small, "q8_0")
	if !strings.Contains(text, "32.00 bits per weight") || !strings.Contains(text, "10.15 bits per weight") {
		t.Errorf("quantize prints\n%s", text)
	}
	tensor, err := open(t, small).Tensor("blk.0.attn_q.weight")
	if err != nil || tensor.DType != quant.Q8_0 {
		t.Errorf("attn_q is %v (%v), want Q8_0", tensor.DType, err)
	}
	o := command("", "quantize", small, smaller, "Q4_0")
	if ExitCode(o.fault) != 1 || !strings.Contains(o.fault.Error(), "already") {
		t.Errorf("quantizing twice gave %v, want a refusal", o.fault)
	}
	if _, err := os.Stat(smaller); err == nil {
		t.Error("a refused conversion left a file")
	}
	succeed(t, "", "quantize", small, smaller, "Q4_0", "--allow-requantize")
	if _, err := os.Stat(smaller); err != nil {
		t.Error(err)
	}
}

// TestCalibrate: a text tells which columns count, the conversion heeds it, and the command
// says what was read and what the text did not reach.
func TestCalibrate(t *testing.T) {
	dir := t.TempDir()
	text, plain, weighed := filepath.Join(dir, "text.txt"), filepath.Join(dir, "a.gguf"), filepath.Join(dir, "b.gguf")
	if err := os.WriteFile(text, []byte(strings.Repeat("Once upon a time there was a dog. ", 50)), 0o600); err != nil {
		t.Fatal(err)
	}
	succeed(t, "", "quantize", stories(t), plain, "Q4_K_M")
	out := succeed(t, "", "quantize", stories(t), weighed, "Q4_K_M", "--calibrate", text, "--calibrate-tokens", "100")
	if !strings.Contains(out, "calibrated on 101 tokens of "+text+"\n") {
		t.Errorf("quantize --calibrate prints\n%s", out)
	}
	a, err := open(t, plain).Tensor("blk.0.ffn_gate.weight")
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, weighed).Tensor(a.Name)
	if err != nil || a.DType != b.DType || bytes.Equal(a.Data, b.Data) {
		t.Errorf("%s is the same without calibration (%v)", a.Name, err)
	}
	fed := filepath.Join(dir, "c.gguf")
	succeed(t, "", "quantize", stories(t), fed, "Q4_K_M", "--calibrate", text, "--calibrate-tokens", "100", "--gptq")
	if c, err := open(t, fed).Tensor(a.Name); err != nil || c.DType != b.DType || bytes.Equal(c.Data, b.Data) {
		t.Errorf("%s is the same without --gptq (%v)", a.Name, err)
	}
	arch := func(name string) string { return quanttest.Shared(t, "data", "models", "golden", "arch", name) }
	out = succeed(t, "", "quantize", arch("mixtral"), weighed, "Q4_0", "--calibrate", text, "--calibrate-tokens", "2")
	if !strings.Contains(out, "experts' matrices, which are quantized without") {
		t.Errorf("quantize --calibrate prints\n%s", out)
	}
	out = succeed(t, "", "quantize", arch("llama-untied"), weighed, "Q4_0", "--calibrate", text)
	if !strings.Contains(out, "; no product reads token_embd.weight\n") {
		t.Errorf("quantize --calibrate prints\n%s", out)
	}
	for line, want := range map[string]string{
		arch("bert") + " c.gguf Q4_0 --calibrate " + text:                    "predicts no next tokens",
		stories(t) + " c.gguf Q4_0 --calibrate none.txt":                     "none.txt",
		stories(t) + " c.gguf Q4_0 --gptq":                                   "--calibrate FILE",
		stories(t) + " c.gguf Q4_0 --calibrate-tokens 1":                     "--calibrate-tokens is 1",
		stories(t) + " c.gguf Q4_0 --calibrate " + os.DevNull:                "the text has 0 token(s)",
		stories(t) + " c.gguf Q8_0 --calibrate-tokens x --calibrate " + text: "calibrate-tokens",
	} {
		o := command("", append([]string{"quantize"}, strings.Fields(line)...)...)
		if o.fault == nil || !strings.Contains(o.fault.Error(), want) {
			t.Errorf("quantize %s gives %v, want %q", line, o.fault, want)
		}
	}
}

// TestConvertTokenizer: a Hugging Face directory becomes a GGUF file whose tokenizer
// gives the same ids, and has a token for each row of the embedding.
func TestConvertTokenizer(t *testing.T) {
	dir := quanttest.Shared(t, "data", "models", "golden", "arch", "qwen2")
	out := filepath.Join(t.TempDir(), "qwen2.gguf")
	succeed(t, "", "convert", dir, out, "--type", "F16", "--split-size", "100K")
	parts, err := filepath.Glob(strings.TrimSuffix(out, ".gguf") + "-*.gguf")
	if err != nil || len(parts) < 2 {
		t.Fatalf("--split-size 100K made %v (%v)", parts, err)
	}
	meta := open(t, parts[0]).Meta()
	if n := len(meta.Strings("tokenizer.ggml.tokens")); n != 384 || meta.Int("general.file_type", -1) != 1 {
		t.Errorf("%d tokens, file type %d, want 384 and 1 (F16)", n, meta.Int("general.file_type", -1))
	}
	const text = "The fox said: <|im_start|> 123 Äpfel!"
	want := succeed(t, text, "tokenize", "--model", dir)
	if got := succeed(t, text, "tokenize", "--model", parts[0]); got != want {
		t.Errorf("ids %s, want %s", got, want)
	}
}

func TestPad(t *testing.T) {
	meta := &quant.Meta{}
	meta.Set("tokenizer.ggml.tokens", []string{"a", "b"})
	meta.Set("tokenizer.ggml.token_type", []int32{1, 3})
	pad(meta, rows(4))
	if got := meta.Strings("tokenizer.ggml.tokens"); !slices.Equal(got, []string{"a", "b", "[PAD2]", "[PAD3]"}) {
		t.Errorf("tokens %q", got)
	}
	if got := meta.Ints("tokenizer.ggml.token_type"); !slices.Equal(got, []int{1, 3, 5, 5}) {
		t.Errorf("types %v", got)
	}
}

// rows is a source whose embedding has as many rows.
type rows int

func (r rows) Meta() *quant.Meta { return &quant.Meta{} }
func (r rows) Infos() []quant.Tensor {
	return []quant.Tensor{{Name: "token_embd.weight", Shape: []int{int(r), 8}}}
}
func (r rows) Tensor(string) (quant.Tensor, error) { return quant.Tensor{}, quant.ErrNoTensor }
func (r rows) Close() error                        { return nil }

func TestParseSize(t *testing.T) {
	check := func(s string, want int, ok bool) {
		t.Helper()
		got, err := parseSize(s)
		if got != want || (err == nil) != ok {
			t.Errorf("size %q is %d (%v), want %d", s, got, err, want)
		}
	}
	check("", 0, true)
	check("123", 123, true)
	check("500M", 500e6, true)
	check("2g", 2e9, true)
	check("2GB", 2e9, true)
	check("3GiB", 3<<30, true)
	check("7B", 7, true)
	for _, bad := range []string{"G", "-1", "0", "1.5G", "2X", "2GG", "99999999999G"} {
		check(bad, 0, false)
	}
}
