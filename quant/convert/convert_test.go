package convert

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/gguf"
	"github.com/ingot-llm/ingot/quant/hf"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/quant/safetensors"
)

func goldens(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(quanttest.Shared(t, "data", "models", "golden", "arch"), "*"))
	if err != nil || len(dirs) != 20 {
		t.Fatalf("found %d golden models (%v), want 20", len(dirs), err)
	}
	return dirs
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

func toGGUF(t *testing.T, src quant.Source, opt Options) quant.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := ToGGUF(context.Background(), src, path, opt); err != nil {
		t.Fatal(err)
	}
	return open(t, filepath.Dir(path))
}

// TestThereAndBack converts every golden model to GGUF and back: the tensors' bits and
// what config.json says are the same.
func TestThereAndBack(t *testing.T) {
	for _, dir := range goldens(t) {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			src := open(t, dir)
			file := toGGUF(t, src, Options{})
			sameMeta(t, src.Meta(), file.Meta(), hf.LayoutKey, "general.file_type")
			back := filepath.Join(t.TempDir(), "back")
			if err := ToHF(context.Background(), file, back, HFOptions{ShardBytes: 100_000}); err != nil {
				t.Fatal(err)
			}
			sameTensors(t, dir, back, strings.HasPrefix(name, "gemma"))
			sameConfig(t, filepath.Join(dir, "config.v4.json"), filepath.Join(back, "config.json"))
			sameMeta(t, src.Meta(), open(t, back).Meta(), "general.file_type", "general.name")
		})
	}
}

// sameMeta compares metadata but for the keys that may differ.
func sameMeta(t *testing.T, want, got *quant.Meta, but ...string) {
	t.Helper()
	for _, k := range append(slices.Clone(want.Keys()), got.Keys()...) {
		if !slices.Contains(but, k) && !reflect.DeepEqual(want.Get(k), got.Get(k)) {
			t.Errorf("%s is %v, want %v", k, got.Get(k), want.Get(k))
		}
	}
}

// sameTensors compares two directories' tensors bit for bit. Of BERT's the pooler is
// gone. Gemma's norms, which GGUF has as 1+w, may have lost what 1+w cannot hold.
func sameTensors(t *testing.T, dir, back string, gemma bool) {
	t.Helper()
	want, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	got, err := safetensors.OpenDir(back)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	n := 0
	for _, w := range want.Tensors() {
		if strings.HasPrefix(w.Name, "pooler.") {
			continue
		}
		n++
		g, ok := got.Lookup(w.Name)
		if !ok || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) {
			t.Errorf("%s is %s %v, want %s %v", w.Name, g.DType, g.Shape, w.DType, w.Shape)
			continue
		}
		if gemma && strings.HasSuffix(w.Name, "norm.weight") {
			for i := 0; i < len(w.Data); i += 4 {
				a, b := float(w.Data[i:]), float(g.Data[i:])
				if a+1 != b+1 || math.Abs(float64(a-b)) > 1.2e-7 {
					t.Errorf("%s: %v, want %v", w.Name, b, a)
				}
			}
		} else if !bytes.Equal(g.Data, w.Data) {
			t.Errorf("%s has other bits", w.Name)
		}
	}
	if len(got.Tensors()) != n {
		t.Errorf("%d tensors came back of %d", len(got.Tensors()), n)
	}
}

func float(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

// immaterial are fields of config.json that training, caching or older code reads, or
// that say what another field says; and the ids of tokens, which for BERT's golden
// are placeholders.
var immaterial = []string{
	"attention_dropout", "attention_probs_dropout_prob", "hidden_dropout_prob", "hidden_dropout", "classifier_dropout",
	"embd_pdrop", "resid_pdrop", "attn_pdrop", "initializer_range", "use_cache", "transformers_version", "pretraining_tp",
	"output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "reorder_and_upcast_attn", "max_window_layers",
	"summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
	"_sliding_window_pattern", "no_rope_layer_interval", "is_decoder", "add_cross_attention", "use_bidirectional_attention",
	"scale_attn_weights", "scale_attn_by_inverse_layer_idx", "decoder_sparse_step", "mlp_only_layers",
}

func sameConfig(t *testing.T, wantPath, gotPath string) {
	t.Helper()
	want, got := readJSON(t, wantPath), readJSON(t, gotPath)
	for field, w := range want {
		bertID := want["model_type"] == "bert" && strings.HasSuffix(field, "s_token_id")
		empty := w == nil && got[field] == nil
		if !slices.Contains(immaterial, field) && !bertID && !empty && !reflect.DeepEqual(w, got[field]) {
			t.Errorf("config.json: %s is %v, want %v", field, got[field], w)
		}
	}
}

func readJSON(t *testing.T, path string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRotaryRows: a GGUF file has Q and K in interleaved pairs.
func TestRotaryRows(t *testing.T) {
	dir := quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied")
	src := open(t, dir)
	file := toGGUF(t, src, Options{})
	for name, heads := range map[string]int{"blk.1.attn_q.weight": 4, "blk.1.attn_k.weight": 2, "blk.1.attn_v.weight": 0} {
		a, errA := src.Tensor(name)
		b, errB := file.Tensor(name)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		row := func(x quant.Tensor, i int) []byte { n := 4 * x.Cols(); return x.Data[i*n:][:n] }
		for i := range a.Rows() {
			from := i
			if heads > 0 {
				d := a.Rows() / heads
				from = i/d*d + i%2*d/2 + i%d/2
			}
			if !bytes.Equal(row(b, i), row(a, from)) {
				t.Fatalf("%s: row %d is not the source's row %d", name, i, from)
			}
		}
	}
}

// TestStories takes the llama2.c model through GGUF, a directory, and back.
func TestStories(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "stories260K"))
	file := toGGUF(t, src, Options{})
	sameMeta(t, src.Meta(), file.Meta(), "general.file_type")
	sameSource(t, src, file)
	dir := filepath.Join(t.TempDir(), "hf")
	if err := ToHF(context.Background(), src, dir, HFOptions{}); err != nil {
		t.Fatal(err)
	}
	again := toGGUF(t, open(t, dir), Options{})
	sameSource(t, src, again)
	sameMeta(t, src.Meta(), again.Meta(), "general.file_type", "general.name", "ingot.activation", "ingot.generation.eos_token_ids")
}

// sameSource compares all tensors.
func sameSource(t *testing.T, want, got quant.Source) {
	t.Helper()
	if len(got.Infos()) != len(want.Infos()) {
		t.Errorf("%d tensors, want %d", len(got.Infos()), len(want.Infos()))
	}
	for _, info := range want.Infos() {
		w, err := want.Tensor(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := got.Tensor(info.Name); err != nil || !reflect.DeepEqual(g, w) {
			t.Errorf("%s differs (%v)", info.Name, err)
		}
	}
}

// TestQuantize: every row is what the codec makes of it, whatever the number of
// goroutines, and mixes choose the types.
func TestQuantize(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "stories260K"))
	for _, name := range quant.MixNames() {
		m, err := quant.ParseMix(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "MXFP4_MOE" {
			continue // a mix for models with experts
		}
		var sums []string
		for _, procs := range []int{1, 2, 5} {
			old := runtime.GOMAXPROCS(procs)
			path := filepath.Join(t.TempDir(), "m.gguf")
			err := ToGGUF(context.Background(), src, path, Options{Mix: m})
			runtime.GOMAXPROCS(old)
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := os.ReadFile(path)
			sums = append(sums, string(raw))
		}
		if sums[0] != sums[1] || sums[0] != sums[2] {
			t.Errorf("%s: the output depends on the number of goroutines", name)
		}
		file := toGGUF(t, src, Options{Mix: m})
		if got := file.Meta().Int("general.file_type", -1); got != int(m.FileType) {
			t.Errorf("%s: file type %d, want %d", name, got, m.FileType)
		}
		checkRows(t, src, file)
	}
}

func checkRows(t *testing.T, src, file quant.Source) {
	t.Helper()
	for _, info := range file.Infos() {
		q, _ := file.Tensor(info.Name)
		w, _ := src.Tensor(info.Name)
		if len(info.Shape) == 1 && info.DType != quant.F32 {
			t.Errorf("%s is %v", info.Name, info.DType)
		}
		values, row := make([]float32, w.Cols()), make([]byte, q.DType.RowBytes(w.Cols()))
		for r := range w.Rows() {
			quant.Dequantize(w.DType, values, w.Data[r*4*w.Cols():][:4*w.Cols()])
			if err := quant.Quantize(q.DType, row, values, nil); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(row, q.Data[r*len(row):][:len(row)]) {
				t.Fatalf("%s %v: row %d differs", info.Name, q.DType, r)
			}
		}
	}
}

// TestMXFP4 takes gpt-oss with quantized experts to a directory as OpenAI publishes it
// and back: the experts' bytes are the same.
func TestMXFP4(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "golden", "arch", "gpt_oss"))
	mix, err := quant.ParseMix("MXFP4_MOE")
	if err != nil {
		t.Fatal(err)
	}
	file := toGGUF(t, src, Options{Mix: mix})
	dir := filepath.Join(t.TempDir(), "hf")
	if err := ToHF(context.Background(), file, dir, HFOptions{Type: "F32"}); err != nil {
		t.Fatal(err)
	}
	back := open(t, dir)
	found := 0
	for _, info := range file.Infos() {
		want, _ := file.Tensor(info.Name)
		got, err := back.Tensor(info.Name)
		if err != nil || !slices.Equal(got.Shape, want.Shape) {
			t.Fatalf("%s is %v, want %v (%v)", info.Name, got.Shape, want.Shape, err)
		}
		if want.DType == quant.MXFP4 {
			found++
			if got.DType != want.DType || !bytes.Equal(got.Data, want.Data) {
				t.Errorf("%s has other bytes", info.Name)
			}
		}
	}
	if found != 2*3 {
		t.Errorf("%d tensors are MXFP4, want 6", found)
	}
}

// TestDecoded: a quantized model becomes a directory of BF16, each value rounded once.
func TestDecoded(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "golden", "arch", "mixtral"))
	q8, _ := quant.ParseMix("Q8_0")
	file := toGGUF(t, src, Options{Mix: q8})
	dir := filepath.Join(t.TempDir(), "hf")
	if err := ToHF(context.Background(), file, dir, HFOptions{}); err != nil {
		t.Fatal(err)
	}
	back := toGGUF(t, open(t, dir), Options{}) // rows of Q and K in the file's order again
	for _, info := range file.Infos() {
		want, got := values(t, file, info.Name), values(t, back, info.Name)
		for i := range want {
			round := want[i]
			if len(info.Shape) > 1 {
				round = quant.BF16ToF32(quant.F32ToBF16(want[i]))
			}
			if got[i] != round {
				t.Fatalf("%s: element %d is %v, want %v", info.Name, i, got[i], round)
			}
		}
	}
}

func values(t *testing.T, src quant.Source, name string) []float32 {
	t.Helper()
	x, err := src.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, x.Elems())
	n := x.DType.RowBytes(x.Cols())
	for r := range x.Rows() {
		quant.Dequantize(x.DType, out[r*x.Cols():][:x.Cols()], x.Data[r*n:][:n])
	}
	return out
}

func TestRequantize(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "stories260K"))
	q8, _ := quant.ParseMix("Q8_0")
	q4, _ := quant.ParseMix("Q4_0")
	file := toGGUF(t, src, Options{Mix: q8})
	sameSource(t, file, toGGUF(t, file, Options{Mix: q8}))
	path := filepath.Join(t.TempDir(), "m.gguf")
	err := ToGGUF(context.Background(), file, path, Options{Mix: q4})
	if err == nil || !strings.Contains(err.Error(), "quantized already") {
		t.Errorf("quantizing twice gives %v", err)
	}
	wantNothing(t, filepath.Dir(path))
	toGGUF(t, file, Options{Mix: q4, AllowRequantize: true})
}

// TestImportance: each row is quantized with the weights of its columns, of stacked experts
// with those of its expert; what does not fit is refused.
func TestImportance(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "golden", "arch", "mixtral"))
	q4, _ := quant.ParseMix("Q5_1")
	weights := map[string][]float32{}
	for _, name := range []string{"blk.0.ffn_up_exps.weight", "blk.1.attn_k.weight"} {
		x, err := src.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		weights[name] = make([]float32, x.Cols()*max(1, x.Shape[0]*(len(x.Shape)-2)))
		for i := range weights[name] {
			weights[name][i] = float32(i*i%89 + i%5)
		}
	}
	file := toGGUF(t, src, Options{Mix: q4, Importance: func(name string) []float32 { return weights[name] }})
	for name, w := range weights {
		x, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		plain, cols, n := values(t, src, name), x.Cols(), x.DType.RowBytes(x.Cols())
		if name == "blk.1.attn_k.weight" {
			plain = values(t, toGGUF(t, src, Options{}), name) // rows in GGUF's order
		}
		want, perExpert := make([]byte, n), x.Rows()*cols/len(w)
		for r := range x.Rows() {
			if err := quant.Quantize(x.DType, want, plain[r*cols:][:cols], w[r/perExpert*cols:][:cols]); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(x.Data[r*n:][:n], want) {
				t.Fatalf("%s: row %d has other bytes", name, r)
			}
		}
	}
	err := ToGGUF(context.Background(), src, filepath.Join(t.TempDir(), "m.gguf"), Options{Mix: q4, Importance: func(string) []float32 { return make([]float32, 7) }})
	if err == nil || !strings.Contains(err.Error(), "7 weights of importance") {
		t.Errorf("seven weights give %v", err)
	}
}

func wantNothing(t *testing.T, dir string) {
	t.Helper()
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%v is left", entries)
	}
}

func TestSplitExtraAndProgress(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "stories260K"))
	dir := t.TempDir()
	extra := &quant.Meta{}
	extra.Set("general.name", "other")
	last, total := 0, 0
	err := ToGGUF(context.Background(), src, filepath.Join(dir, "m.gguf"), Options{
		SplitBytes: 300_000, Extra: extra,
		Progress: func(d, n int) {
			if d <= last || d > n {
				t.Errorf("progress %d of %d after %d", d, n, last)
			}
			last, total = d, n
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(names) != 4 || filepath.Base(names[0]) != gguf.SplitName("m", 1, 4) {
		t.Errorf("files %q", names)
	}
	file := open(t, dir)
	sameSource(t, src, file)
	sameMeta(t, src.Meta(), file.Meta(), "general.file_type", "general.name")
	if n := file.Meta().String("general.name", ""); n != "other" {
		t.Errorf("name %q", n)
	}
}

// damaged is a source with one value replaced.
type damaged struct {
	quant.Source
	name  string
	index int
	value float32
}

func (d damaged) Tensor(name string) (quant.Tensor, error) {
	t, err := d.Source.Tensor(name)
	if name == d.name {
		t.Data = bytes.Clone(t.Data)
		binary.LittleEndian.PutUint32(t.Data[4*d.index:], math.Float32bits(d.value))
	}
	return t, err
}

func TestRefusesNaN(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "stories260K"))
	q8, _ := quant.ParseMix("Q8_0")
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		bad := damaged{src, "blk.2.ffn_up.weight", 777, v}
		for _, mix := range []quant.Mix{{}, q8} {
			dir := t.TempDir()
			err := ToGGUF(context.Background(), bad, filepath.Join(dir, "m.gguf"), Options{Mix: mix})
			if err == nil || !strings.Contains(err.Error(), `"blk.2.ffn_up.weight"`) || !strings.Contains(err.Error(), "index 777") {
				t.Errorf("%v gives %v", v, err)
			}
			wantNothing(t, dir)
		}
		dir := t.TempDir()
		err := ToHF(context.Background(), bad, filepath.Join(dir, "hf"), HFOptions{})
		if err == nil || !strings.Contains(err.Error(), "index 777") {
			t.Errorf("%v gives %v", v, err)
		}
		wantNothing(t, dir)
	}
}

func TestCancelled(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "stories260K"))
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	stop := func(int, int) { cancel() }
	if err := ToGGUF(ctx, src, filepath.Join(dir, "m.gguf"), Options{Progress: stop}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := ToHF(ctx, src, filepath.Join(dir, "hf"), HFOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantNothing(t, dir)
}

func TestWrongDestinations(t *testing.T) {
	src := open(t, quanttest.Shared(t, "data", "models", "stories260K"))
	dir := t.TempDir()
	if err := ToGGUF(context.Background(), src, filepath.Join(dir, "m.bin"), Options{}); err == nil {
		t.Error("a GGUF file may be called .bin")
	}
	if err := ToHF(context.Background(), src, filepath.Join(dir, "hf"), HFOptions{Type: "Q8_0"}); err == nil {
		t.Error("a directory of Q8_0 is made")
	}
	wantNothing(t, dir)
}
