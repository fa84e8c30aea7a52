package train

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/param"
)

// trainBatch is one variant of the golden training batches.
type trainBatch struct {
	InputIDs    [][]int32 `json:"input_ids"`
	Labels      [][]int32 `json:"labels"`
	DocumentIDs [][]int32 `json:"document_ids"`
	Mask        [][]int32 `json:"attention_mask"`
	Loss        float64
	Counted     int                `json:"counted_targets"`
	GradNorms   map[string]float64 `json:"grad_norms"`
}

// documents cuts the rows into documents, padding left out.
func (b *trainBatch) documents() (all []loader.Sequence) {
	for r, row := range b.InputIDs {
		from := 0
		for t := 1; t <= len(row); t++ {
			if t < len(row) && b.same(r, t-1, t) {
				continue
			}
			if b.Mask == nil || b.Mask[r][from] == 1 {
				all = append(all, labelled(row[from:t], b.Labels[r][from:t]))
			}
			from = t
		}
	}
	return all
}

// labelled makes a document of ids and labels: label t, if it is none of -100, is what
// follows id t-1.
func labelled(ids, labels []int32) loader.Sequence {
	d := loader.Sequence{Tokens: ids, Targets: make([]int32, len(ids))}
	for t := range d.Targets {
		d.Targets[t] = -1
		if t+1 < len(labels) && labels[t+1] >= 0 {
			d.Targets[t] = labels[t+1]
		}
	}
	return d
}

func (b *trainBatch) same(r, t, u int) bool {
	if b.Mask != nil {
		return b.Mask[r][t] == b.Mask[r][u]
	}
	return b.DocumentIDs[r][t] == b.DocumentIDs[r][u]
}

func eachTable(t *testing.T, f func(t *testing.T, table *kernels.Table)) {
	for _, table := range kernels.Tables() {
		t.Run(table.Name, func(t *testing.T) { f(t, table) })
	}
}

// TestGoldenGradients compares loss and gradients of every parameter with PyTorch's in
// float64, for batches of packed documents and of padded rows, in both precisions.
func TestGoldenGradients(t *testing.T) {
	for _, name := range []string{"llama-tied", "qwen3", "gpt2", "mixtral"} {
		t.Run(name, func(t *testing.T) {
			eachTable(t, func(t *testing.T, table *kernels.Table) {
				for _, p := range []param.Precision{param.F32, param.BF16} {
					goldenGradients(t, name, "packed", "grads_packed", p, table)
					goldenGradients(t, name, "padded", "grads_padded_some", p, table)
				}
			})
		})
	}
}

func goldenGradients(t *testing.T, name, variant, file string, p param.Precision, table *kernels.Table) {
	t.Helper()
	dir := quanttest.Shared(t, "data", "models", "golden", "train", name)
	var expected struct{ Variants map[string]*trainBatch }
	if err := json.Unmarshal(read(t, filepath.Join(dir, "expected.json")), &expected); err != nil {
		t.Fatal(err)
	}
	want, set := expected.Variants[variant], openSet(t, name, p)
	e := newTrainee(t, wholly(set), want.documents(), table, kernels.Training{})
	if len(e.batch.Targets) != want.Counted {
		t.Fatalf("%s: %d targets, want %d", variant, len(e.batch.Targets), want.Counted)
	}
	within := map[param.Precision]float64{param.F32: 1e-5, param.BF16: 5e-2}[p]
	if got := e.loss(t) / float64(want.Counted); math.Abs(got-want.Loss) > within {
		t.Errorf("%s in %v: loss %.7f, want %.7f", variant, p, got, want.Loss)
	}
	compareGradients(t, set, goldenGrads(t, name, filepath.Join(dir, file+".safetensors")), p, want.Counted, variant)
}

// goldenGrads opens a file of gradients under their checkpoint names as if it were the
// model, so that names and layouts become ours. Where it has no gradient of a tensor,
// the model's values stand.
func goldenGrads(t *testing.T, name, file string) quant.Source {
	t.Helper()
	dir, from := t.TempDir(), quanttest.Shared(t, "data", "models", "golden", "arch", name)
	for _, f := range []string{"config.json", "tokenizer.json", "tokenizer_config.json"} {
		write(t, filepath.Join(dir, f), read(t, filepath.Join(from, f)))
	}
	all, some := read(t, filepath.Join(from, "model.safetensors")), read(t, file)
	places := offsets(t, all)
	for tensor, at := range offsets(t, some) {
		copy(all[places[tensor][0]:places[tensor][1]], some[at[0]:at[1]])
	}
	write(t, filepath.Join(dir, "model.safetensors"), all)
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// offsets returns where the tensors of a safetensors file lie in it.
func offsets(t *testing.T, file []byte) map[string][2]int {
	t.Helper()
	header := int(binary.LittleEndian.Uint64(file))
	var tensors map[string]struct {
		At [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(file[8:8+header], &tensors); err != nil {
		t.Fatal(err)
	}
	places := map[string][2]int{}
	for name, x := range tensors {
		if name != "__metadata__" {
			places[name] = [2]int{8 + header + x.At[0], 8 + header + x.At[1]}
		}
	}
	return places
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// floatsOf returns a tensor of src as f32.
func floatsOf(t *testing.T, src quant.Source, name string) []float32 {
	t.Helper()
	x, err := src.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, x.Elems())
	quant.Dequantize(x.DType, values, x.Data)
	return values
}

// compareGradients compares, of the entries of want that are not the model's values, f32
// ones by the largest difference as a share of the largest entry, bf16 ones by the norm
// of the differences as a share of that of the entries.
func compareGradients(t *testing.T, set *param.Set, want quant.Source, p param.Precision, counted int, variant string) {
	t.Helper()
	compared := 0
	for _, x := range set.Params() {
		expected := floatsOf(t, want, x.Name)
		var top, worst, size, off float64
		for i, v := range expected {
			if v == x.Master[i] {
				continue
			}
			compared++
			d := math.Abs(float64(v) - float64(x.Grad[i])/float64(counted))
			top, worst = max(top, math.Abs(float64(v))), max(worst, d)
			size, off = size+float64(v)*float64(v), off+d*d
		}
		if p == param.F32 && !(worst <= 1e-4*top+1e-9) {
			t.Errorf("%s: the gradient of %s is off by %.2g, its largest entry is %.2g", variant, x.Name, worst, top)
		}
		if p == param.BF16 && !(math.Sqrt(off) <= 0.1*math.Sqrt(size)+1e-6) {
			t.Errorf("%s in bf16: the gradient of %s is off by %.2g of %.2g", variant, x.Name, math.Sqrt(off), math.Sqrt(size))
		}
	}
	if compared == 0 {
		t.Errorf("%s: nothing was compared", variant)
	}
}
