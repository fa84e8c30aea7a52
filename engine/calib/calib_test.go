package calib

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/predict"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// setting is the small trained model, a table, and text to calibrate and to judge on.
type setting struct {
	src          quant.Source
	table        *kernels.Table
	text, unseen string
}

const tokens = 4096

func open(t *testing.T) *setting {
	t.Helper()
	src, err := checkpoint.Open(quanttest.Shared(t, "data", "models", "stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	lib := kernels.Open(2, kernels.Options{})
	t.Cleanup(lib.Close)
	table, err := lib.Select("auto", nil)
	if err != nil {
		t.Fatal(err)
	}
	text := stories(t)
	return &setting{src: src, table: table, text: text[:len(text)/2], unseen: text[len(text)/2:]}
}

// stories returns the beginnings of picture books.
func stories(t *testing.T) string {
	t.Helper()
	f, err := os.Open(quanttest.Shared(t, "data", "pretrain", "storybooks.train.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for lines := json.NewDecoder(bufio.NewReader(z)); all.Len() < 40_000; {
		var row struct{ Text string }
		if err := lines.Decode(&row); err != nil {
			t.Fatal(err)
		}
		all.WriteString(row.Text[:min(len(row.Text), 1000)] + "\n")
	}
	return all.String()
}

func (s *setting) options() Options { return Options{Table: s.table, Text: s.text, Tokens: tokens} }

func (s *setting) measure(t *testing.T) *Importance {
	t.Helper()
	m, err := Measure(context.Background(), s.src, s.options())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func values(t *testing.T, src quant.Source, name string) (out []float32, cols int) {
	t.Helper()
	x, err := src.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	out = make([]float32, x.Elems())
	quant.Dequantize(x.DType, out, x.Data)
	return out, x.Cols()
}

// TestMeasure: the first layer's sums are those of the normalised embeddings of the text's
// tokens, by hand; every matrix that multiplies has sums.
func TestMeasure(t *testing.T) {
	s := open(t)
	last, of := 0, 0
	o := s.options()
	o.Progress = func(done, total int) { last, of = done, total }
	m, err := Measure(context.Background(), s.src, o)
	if err != nil {
		t.Fatal(err)
	}
	encode, err := predict.Encoder(s.src.Meta())
	if err != nil {
		t.Fatal(err)
	}
	ids, first := encode(s.text)
	embeddings, cols := values(t, s.src, "token_embd.weight")
	gain, _ := values(t, s.src, "blk.0.attn_norm.weight")
	want, read := make([]float64, cols), 0
	for ids = ids[:tokens]; len(ids) > 0; { // 512 tokens, of which BOS is one, and one that is left out
		n := min(len(ids), 512)
		for _, id := range append(first[:1:1], ids[:min(n, 511)]...) {
			addSquares(want, embeddings[int(id)*cols:][:cols], gain)
			read++
		}
		ids = ids[n:]
	}
	for i, v := range m.Of("blk.0.attn_k.weight") {
		if math.Abs(float64(v)-want[i]) > 1e-4*want[i] {
			t.Errorf("column %d: %v, want %v", i, v, want[i])
		}
	}
	if m.Tokens != read || last != read || of != read {
		t.Errorf("%d tokens, %d of %d at last, want %d", m.Tokens, last, of, read)
	}
	for _, x := range s.src.Infos() {
		if got := len(m.Of(x.Name)); len(x.Shape) == 2 && got != x.Cols() || len(x.Shape) == 1 && got != 0 {
			t.Errorf("%s has %d sums", x.Name, got)
		}
	}
}

// addSquares adds the squares of what RMSNorm makes of x.
func addSquares(sum []float64, x, gain []float32) {
	mean := 1e-5
	for _, v := range x {
		mean += float64(v) * float64(v) / float64(len(x))
	}
	for i, v := range x {
		y := float64(v) * float64(gain[i])
		sum[i] += y * y / mean
	}
}

// TestImportance: weighed by what the model's weights multiply, the squared errors of
// rounding them are lower in every matrix and type, and the model lies nearer to the
// original over text that was not calibrated on.
func TestImportance(t *testing.T) {
	s := open(t)
	m := s.measure(t)
	for _, d := range []quant.DType{quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1} {
		for _, x := range s.src.Infos() {
			if len(x.Shape) < 2 || x.Cols()%d.BlockElems() != 0 {
				continue
			}
			with, without := s.weighted(t, x.Name, d, m.Of(x.Name), m.Of(x.Name)), s.weighted(t, x.Name, d, nil, m.Of(x.Name))
			if with > 0.97*without {
				t.Errorf("%s in %v: weighted error %.4g, without calibration %.4g", x.Name, d, with, without)
			}
		}
	}
}

// TestDivergence: over text that was not calibrated on the quantized model lies nearer to the
// original with the columns' importance, and nearer still with errors fed back.
func TestDivergence(t *testing.T) {
	s := open(t)
	m := s.measure(t)
	p := NewProducts(s.src, m, math.MaxInt64, s.options())
	defer p.Close()
	for mix, most := range map[string][2]float64{"Q4_K_M": {0.9, 0.93}, "Q4_1": {0.9, 0.93}, "Q5_1": {0.97, 0.97}} {
		plain := s.divergence(t, convert.Options{Mix: parse(t, mix)})
		weighed := s.divergence(t, convert.Options{Mix: parse(t, mix), Importance: m.Of})
		fed := s.divergence(t, convert.Options{Mix: parse(t, mix), Importance: m.Of, Feedback: p.feedback})
		t.Logf("%s: KL %.5f, with importance %.5f, with feedback %.5f", mix, plain, weighed, fed)
		if weighed > most[0]*plain || fed > most[1]*weighed {
			t.Errorf("%s: KL %.5f, with importance %.5f, with feedback %.5f, want at most %g and %g of the one before", mix, plain, weighed, fed, most[0], most[1])
		}
	}
}

func (p *Products) feedback(name string) (*quant.Feedback, error) {
	return p.Feedback(context.Background(), name)
}

// TestProducts: measured some weights at a time, in one order or another, they round the
// same way; weights that no product reads have none, nor have experts.
func TestProducts(t *testing.T) {
	s := open(t)
	o := s.options()
	o.Tokens = 256
	m, err := Measure(context.Background(), s.src, o)
	if err != nil {
		t.Fatal(err)
	}
	passes := 0
	o.Progress = func(done, total int) {
		if done == total {
			passes++
		}
	}
	all, few := NewProducts(s.src, m, math.MaxInt64, o), NewProducts(s.src, m, 8*4*64*64, o)
	defer all.Close()
	defer few.Close()
	names := []string{"blk.3.ffn_up.weight", "token_embd.weight", "blk.4.attn_k.weight", "blk.0.attn_q.weight", "blk.4.attn_q.weight"}
	for _, name := range names {
		x, _ := values(t, s.src, name)
		got, want := make([]byte, quant.Q5_0.RowBytes(len(x))), make([]byte, quant.Q5_0.RowBytes(len(x)))
		for p, raw := range map[*Products][]byte{all: want, few: got} {
			f, err := p.feedback(name)
			if err == nil {
				err = f.Quantize(quant.Q5_0, raw, x)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is rounded otherwise where few weights are measured at a time", name)
		}
	}
	if passes < 4 || passes > 6 {
		t.Errorf("the text was read %d times, want 1 and 3 to 5", passes)
	}
	for _, name := range []string{"blk.0.attn_norm.weight", "blk.0.ffn_down.weight", "none"} { // 172 columns
		if f, err := all.feedback(name); f != nil || err != nil {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

func parse(t *testing.T, name string) quant.Mix {
	t.Helper()
	mix, err := quant.ParseMix(name)
	if err != nil {
		t.Fatal(err)
	}
	return mix
}

// weighted returns the sum of w times the squared errors of a weight's rounding to d with
// an importance.
func (s *setting) weighted(t *testing.T, name string, d quant.DType, importance, w []float32) (sum float64) {
	t.Helper()
	x, cols := values(t, s.src, name)
	raw, back := make([]byte, d.RowBytes(cols)), make([]float32, cols)
	for ; len(x) > 0; x = x[cols:] {
		if err := quant.Quantize(d, raw, x[:cols], importance); err != nil {
			t.Fatal(err)
		}
		quant.Dequantize(d, back, raw)
		for i, v := range back {
			sum += float64(w[i]) * math.Pow(float64(v)-float64(x[i]), 2)
		}
	}
	return sum
}

// divergence returns the mean KL of the model's quantized form from it, over the unseen text.
func (s *setting) divergence(t *testing.T, o convert.Options) float64 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "m.gguf")
	if err := convert.ToGGUF(context.Background(), s.src, file, o); err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var sides []*predict.Predictor
	for _, m := range []quant.Source{s.src, src} {
		p, err := predict.New(m, s.table, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		sides = append(sides, p)
	}
	encode, err := predict.Encoder(src.Meta())
	if err != nil {
		t.Fatal(err)
	}
	ids, first := encode(s.unseen)
	var d predict.Divergence
	for _, w := range sides[0].Windows(ids[:tokens], first) {
		known := w[:len(w)-1]
		want, err := sides[0].Predict(known)
		if err != nil {
			t.Fatal(err)
		}
		got, err := sides[1].Predict(known)
		if err != nil {
			t.Fatal(err)
		}
		d.Add(want, got, w[1:])
	}
	return d.MeanKL()
}
