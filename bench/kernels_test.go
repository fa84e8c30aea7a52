package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// TestKernelsCommand: every operation, on the reference and the machine's own table.
func TestKernelsCommand(t *testing.T) {
	out, _, err := command(strings.Fields("bench kernels --type F32,Q8_0 --shape 16x256 --rows 3 --context 40 --millis 1 --table reference,auto --json")...)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(out) {
		var r kernelResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Micros < 0 || r.GBs < 0 || r.Rows != 3 || r.Threads < 1 || r.LimitShare != 0 && math.Abs(r.LimitShare-r.LimitMicros/r.Micros) > 1e-9 {
			t.Errorf("result %+v", r)
		}
		if r.Op == "linear" && r.Table != "reference" && r.GFLOPS <= 0 {
			t.Errorf("result %+v", r)
		}
		seen[r.Op]++
	}
	for _, o := range operations {
		want := 2 * len(o.typesOf([]quant.DType{quant.F32, quant.Q8_0}))
		if seen[o.name] != want {
			t.Errorf("%d results of %s, want %d", seen[o.name], o.name, want)
		}
	}
	out, _, err = command(strings.Fields("bench kernels --op add --shape 16x256 --rows 1 --millis 1 --table reference,reference")...)
	if err != nil || !strings.Contains(out, "2: time") || !strings.Contains(out, "2 / 1") {
		t.Errorf("printed (%v)\n%s", err, out)
	}
}

// TestKernelCounts holds bytes and operations of a case against what its arrays take.
func TestKernelCounts(t *testing.T) {
	check := func(op string, d quant.DType, outs, cols, rows, context int, bytes, flops float64) {
		t.Helper()
		found, err := findOperations([]string{op})
		if err != nil {
			t.Fatal(err)
		}
		var weights kernelWeights
		defer weights.free()
		c := &kernelCase{op: found[0], dtype: d, outs: outs, cols: cols, rows: rows, context: context}
		r, err := newKernelRun(c, kernels.Reference, "int8", &weights)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		if got := r.bytes(); got != bytes {
			t.Errorf("%s of %v: %v bytes, want %v", op, d, got, bytes)
		}
		if got := r.flops(); got != flops {
			t.Errorf("%s of %v: %v operations, want %v", op, d, got, flops)
		}
	}
	check("linear", quant.F32, 16, 256, 3, 1, 4*(16*256+3*256+3*16), 2*3*16*256)
	check("linear", quant.Q4_0, 16, 256, 3, 1, 16*256/32*18+3*256*(1+4.0/32)+4*3*16, 2*3*16*256)
	check("expert_linear", quant.F32, 16, 256, 1, 1, 4*(16*256*2/8+256+2*2+2), 2*2*2*256)
	check("embed", quant.Q8_0, 0, 256, 3, 1, 3*(256/32*34+4*256), 0)
	check("add", quant.F32, 0, 256, 3, 1, 4*3*3*256, 0)
	// One KV head of 64, keys and values in bf16: 256 bytes a token; four query heads.
	check("attention_decode", quant.BF16, 0, 256, 3, 40, 3*40*256+4*3*2*256, 2*4*128*3*40)
	check("attention_prefill", quant.BF16, 0, 256, 3, 40, 40*256+4*3*2*256, 2*4*128*3*39)
	check("store_kv", quant.BF16, 0, 256, 3, 40, 3*256+4*3*2*64, 0)
}

// TestKernelCaches: what would fill the memory is left out.
func TestKernelCaches(t *testing.T) {
	ops, err := findOperations([]string{"attention"})
	if err != nil {
		t.Fatal(err)
	}
	k := &kernelBench{kernelOptions: &kernelOptions{rows: []int{1, 512}, context: 4096}, ops: ops, shapes: [][2]int{{8, 8192}}, types: []quant.DType{quant.BF16}}
	var kept []string
	for _, c := range k.cases() {
		kept = append(kept, c.op.name, fmt.Sprint(c.rows))
	}
	if got := strings.Join(kept, " "); got != "attention_decode 1 attention_prefill 1 attention_prefill 512" { // a sequence takes 32 MiB
		t.Errorf("kept %s", got)
	}
}

// TestKernelPeak: a product's limit is the slower of memory and its instruction.
func TestKernelPeak(t *testing.T) {
	linear, err := findOperations([]string{"linear"})
	if err != nil {
		t.Fatal(err)
	}
	var weights kernelWeights
	defer weights.free()
	r, err := newKernelRun(&kernelCase{op: linear[0], dtype: quant.F32, outs: 16, cols: 256, rows: 4}, kernels.Reference, "auto", &weights)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.times, r.table = []time.Duration{time.Second}, &kernels.Table{Name: "avx2"}
	bytes, flops := r.bytes(), r.flops()
	if got := r.result(1, kernels.Peaks{ReadBytes: bytes / 0.5, F32: flops * 10}); got.Bound != "memory" || math.Abs(got.LimitShare-0.5) > 1e-9 || math.Abs(got.LimitMicros-5e5) > 1e-3 {
		t.Errorf("bound by memory: %+v", got)
	}
	if got := r.result(1, kernels.Peaks{ReadBytes: bytes * 10, F32: flops / 0.25}); got.Bound != "products" || math.Abs(got.LimitShare-0.25) > 1e-9 {
		t.Errorf("bound by products: %+v", got)
	}
	if got := r.result(1, kernels.Peaks{}); got.LimitShare != 0 || got.Bound != "" {
		t.Errorf("without peaks: %+v", got)
	}
}

// TestKernelTypes: every type makes weights that a product takes.
func TestKernelTypes(t *testing.T) {
	linear, err := findOperations([]string{"linear"})
	if err != nil {
		t.Fatal(err)
	}
	types, err := parseTypes([]string{"all"})
	if err != nil || len(types) < 24 {
		t.Fatalf("%v (%v)", types, err)
	}
	for _, d := range types {
		var weights kernelWeights
		all, err := weights.of(d, 8, 256, 3)
		if err != nil || len(all) != 3 || len(all[2].Data) != 8*d.RowBytes(256) || bytes.Equal(all[0].Data, make([]byte, len(all[0].Data))) {
			t.Errorf("%v: %d weights (%v)", d, len(all), err)
		}
		weights.free()
	}
	if linear[0].typesOf(types)[0] != quant.F32 {
		t.Error("the types are not those that were asked for")
	}
}

func TestKernelUsage(t *testing.T) {
	check := func(line, want string) {
		t.Helper()
		if _, _, err := command(strings.Fields("bench kernels " + line)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	check("--op matmul", `"matmul"`)
	check("--type Q9", "Q9")
	check("--type Q8_1", "no weights of type Q8_1")
	check("--shape 20x256", `"20x256"`)
	check("--shape 2048", "2048x8192")
	check("--rows 0", "[0]")
	check("--table quick", "quick")
	check("--activations fp3", "fp3")
}

func TestLimits(t *testing.T) {
	if lib := kernels.Tables(); lib[0] == kernels.Reference {
		t.Skip("there are no native kernels to measure with")
	}
	all, err := measureLimits(2, 20*time.Millisecond, &bytes.Buffer{})
	if err != nil || len(all) != 4 {
		t.Fatalf("%d limits (%v)", len(all), err)
	}
	for i, l := range all {
		if l.Threads != 1+i/2 || l.Pages != []string{"4 KiB", "2 MiB"}[i%2] || l.ReadGBs <= 0 {
			t.Errorf("limit %d: %+v", i, l)
		}
	}
	var out bytes.Buffer
	if err := printLimits(&out, all); err != nil || strings.Count(out.String(), "\n") != 6 {
		t.Errorf("printed (%v)\n%s", err, out.String())
	}
}
