package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// command runs "ingot ARGS..." and returns what it printed.
func command(args ...string) (stdout, stderr string, err error) {
	root := cli.Group("ingot", "", "")
	root.AddCommand(Commands()...)
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	err = cli.Execute(context.Background(), root, args)
	return out.String(), errs.String(), err
}

// small returns a shape of the same architecture that a test can compute.
func small(s shape.Shape) shape.Shape {
	s.Heads, s.KVHeads = 4, max(4*s.KVHeads/s.Heads, 1)
	s.Layers, s.Dim, s.FF, s.HeadDim, s.Vocab, s.Context = 2, 64, 128, 16, 96, 128
	if s.Experts > 0 {
		s.Experts, s.ExpertsUsed, s.ExpertFF = 4, 2, 32
	}
	return s
}

// TestShapes: every shape makes a model that its architecture accepts, whose
// activations stay finite and whose logits differ.
func TestShapes(t *testing.T) {
	for _, s := range shape.All() {
		for _, typ := range []string{"F32", "Q8_0", "Q4_0", "Q4_K_M"} {
			checkShape(t, small(s), typ)
		}
	}
}

func checkShape(t *testing.T, s shape.Shape, typ string) {
	t.Helper()
	mix, err := quant.ParseMix(typ)
	if err != nil {
		t.Fatal(err)
	}
	src := newRandomModel(s, mix, nil)
	defer src.Close()
	m, err := model.Load(src, model.Options{})
	if err != nil {
		t.Fatalf("%s in %s: %v", s.Name, typ, err)
	}
	defer m.Program.Close()
	l, err := newStepper(m, kernels.Reference, 2, 17, 24)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if _, err := l.prefill(context.Background(), 17); err != nil {
		t.Fatal(err)
	}
	l.spread(2, 17, 17)
	if _, err := l.decode(context.Background(), 2, 17, 3, func() {}); err != nil {
		t.Fatal(err)
	}
	out, rows, width := l.runner.Output()
	if rows != 2 || width != s.Vocab {
		t.Fatalf("%s: logits [%d, %d], want [2, %d]", s.Name, rows, width, s.Vocab)
	}
	low, high := slices.Min(out), slices.Max(out)
	if !(low < high) || math.IsInf(float64(high-low), 0) || high-low > 1e4 {
		t.Errorf("%s in %s: logits from %v to %v", s.Name, typ, low, high)
	}
}

// TestSpread: a sequence that got the first one's cache continues as the first one does.
func TestSpread(t *testing.T) {
	mix, err := quant.ParseMix("F32")
	if err != nil {
		t.Fatal(err)
	}
	src := newRandomModel(small(shape.All()[0]), mix, nil)
	defer src.Close()
	m, err := model.Load(src, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Program.Close()
	l, err := newStepper(m, kernels.Reference, 3, 33, 40)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if _, err := l.prefill(context.Background(), 33); err != nil {
		t.Fatal(err)
	}
	l.spread(3, 33, 33)
	l.batch = kernels.Batch{RowStart: []int32{0}, TableStart: []int32{0}}
	for s := range 3 {
		l.add(s, 33, 1)
		l.batch.Tokens[s] = 5
	}
	if err := l.runner.Run(&l.batch); err != nil {
		t.Fatal(err)
	}
	out, _, width := l.runner.Output()
	for s := 1; s < 3; s++ {
		if !slices.Equal(out[:width], out[s*width:(s+1)*width]) {
			t.Errorf("sequence %d continues differently", s)
		}
	}
}

func TestModelCommand(t *testing.T) {
	out, _, err := command("bench", "model", "--shape", "llama-15m", "--prompt", "20", "--gen", "3", "--batch", "1,2", "--repeat", "2", "--json")
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{"prefill 1 20", "decode 1 3", "decode 2 6"}
	for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintln(r.Kind, r.Batch, r.Tokens); strings.TrimSpace(got) != kinds[i] {
			t.Errorf("line %d is %q, want %q", i, got, kinds[i])
		}
		if r.Model != "llama-15m" || r.Type != "Q4_0" || r.KVType != "bf16" || r.Table == "" || r.Activations == "" || r.Threads < 1 || r.TokS <= 0 || r.RSS < 1<<20 {
			t.Errorf("result %+v", r)
		}
		if r.LimitTokS > 0 && math.Abs(r.LimitShare-r.TokS/r.LimitTokS) > 1e-9 {
			t.Errorf("share %v of %v at %v", r.LimitShare, r.LimitTokS, r.TokS)
		}
	}
}

// TestModelFile: a file on the reference table, as a table for people; an encoder has no
// decode.
func TestModelFile(t *testing.T) {
	args := []string{"bench", "model", "--table", "reference", "--prompt", "8", "--gen", "2", "--repeat", "1", "--model"}
	out, _, err := command(append(args, quanttest.Shared(t, "data", "models", "stories260K"))...)
	if err != nil || !strings.Contains(out, "stories260K F32, table reference, bf16 activations, bf16 cache") ||
		!strings.Contains(out, "prefill") || !strings.Contains(out, "decode") {
		t.Errorf("printed (%v)\n%s", err, out)
	}
	loaded, _, err := command(append([]string{"bench", "model", "--weights", "load", "--gen", "0", "--json", "--model"}, quanttest.Shared(t, "data", "models", "stories260K"))...)
	if err != nil || !strings.Contains(loaded, `"model":"stories260K"`) {
		t.Errorf("loaded weights printed (%v)\n%s", err, loaded)
	}
	out, _, err = command(append(args, quanttest.Shared(t, "data", "models", "golden", "arch", "bert"))...)
	if err != nil || !strings.Contains(out, "prefill") || strings.Contains(out, "decode") {
		t.Errorf("an encoder printed (%v)\n%s", err, out)
	}
}

func TestUsageErrors(t *testing.T) {
	check := func(line string, want ...string) {
		t.Helper()
		out, _, err := command(strings.Fields(line)...)
		if cli.ExitCode(err) != 2 || out != "" {
			t.Errorf("ingot %s: %v, printed %q, want a usage error alone", line, err, out)
		}
		for _, w := range want {
			if !strings.Contains(fmt.Sprint(err), w) {
				t.Errorf("ingot %s: %q does not say %q", line, err, w)
			}
		}
	}
	check("bench modl", `"modl"`, "did you mean model?")
	check("bench model", "--model FILE", "--shape NAME")
	check("bench model --shape a --model b", "either")
	check("bench model --shape gpt-9", `"gpt-9"`, "smol-135m")
	check("bench model --shape llama-15m --type Q9", `"Q9"`, "Q4_0")
	check("bench model --shape llama-15m --batch 0", "[0]")
	check("bench model --shape llama-15m --weights copy", `"copy"`, "load")
	check("bench model --shape llama-15m --prompt 0", "--prompt is 0")
	check("bench model --shape llama-15m --table quick", `"quick"`, "reference")
	check("bench model --shape llama-15m --activations fp3", `"fp3"`, "int8")
	check("bench model --shape llama-15m --kv-type q3", "q3")
	check("doctor now", `"now"`)
}

// TestInterrupted: a measurement ends between two steps.
func TestInterrupted(t *testing.T) {
	l := &stepper{model: &model.Model{Family: &model.Family{}}}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.prefill(ctx, 1); err != context.Canceled {
		t.Errorf("prefill gave %v", err)
	}
	if _, err := l.decode(ctx, 1, 0, 1, func() {}); err != context.Canceled {
		t.Errorf("decode gave %v", err)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]time.Duration{9, 1, 5}); got != 5 {
		t.Errorf("median %v", got)
	}
}

// TestRoofline: the slower of memory and arithmetic counts.
func TestRoofline(t *testing.T) {
	mix, err := quant.ParseMix("F32")
	if err != nil {
		t.Fatal(err)
	}
	src := newRandomModel(small(shape.All()[0]), mix, nil)
	defer src.Close()
	m, err := model.Load(src, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Program.Close()
	bytes, flops := float64(m.Program.Bytes()), float64(m.Program.FLOPs(10, 1, 0))
	check := func(p kernels.Peaks, rows, context int, want float64) {
		t.Helper()
		r := newRoofline(nil, m, &kernels.Table{Name: "avx2"}, kernels.ActBF16, p)
		if got := r.tokensPerSecond(rows, 1, context); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%+v, %d rows, context %d: %v tokens/s, want %v", p, rows, context, got, want)
		}
	}
	check(kernels.Peaks{ReadBytes: 1e9}, 1, 0, 1e9/bytes)
	check(kernels.Peaks{ReadBytes: 1e9, F32: 1e20}, 10, 0, 10*1e9/bytes)
	check(kernels.Peaks{ReadBytes: 1e20, F32: 1e9}, 10, 0, 10*1e9/flops)
	check(kernels.Peaks{}, 1, 0, 0)
	// 2 layers, 2 heads of 16 keys and 16 values, in bf16: 256 bytes of cache for a token.
	check(kernels.Peaks{ReadBytes: 1e9}, 1, 100, 1e9/(bytes+25600))
}

func TestProductPeak(t *testing.T) {
	peaks := kernels.Peaks{F32: 1, BF16: 2, Int8: 3, AMXBF16: 4, AMXInt8: 5}
	program := func(d quant.DType) *kernels.Program {
		return &kernels.Program{Operands: []kernels.Operand{{Kind: kernels.Weight, DType: d, Data: make([]byte, 8)}}}
	}
	check := func(table string, d quant.DType, act kernels.Activations, want float64) {
		t.Helper()
		if got := productPeak(program(d), &kernels.Table{Name: table}, act, peaks); got != want {
			t.Errorf("%v weights, %v activations on %s: peak %v, want %v", d, act, table, got, want)
		}
	}
	check("amx", quant.Q4_0, kernels.ActBF16, 4)
	check("amx", quant.Q4_0, kernels.ActInt8, 5)
	check("amx", quant.F32, kernels.ActBF16, 1)
	check("avx512_bf16", quant.BF16, kernels.ActInt8, 2)
	check("avx512_bf16", quant.Q4_0, kernels.ActInt8, 3)
	check("avx2", quant.F16, kernels.ActInt8, 1)
	if got := productPeak(program(quant.Q4_0), kernels.Reference, kernels.ActBF16, peaks); got != 0 {
		t.Errorf("the reference has peak %v", got)
	}
}

func TestFits(t *testing.T) {
	if err := fits(1 << 60); err == nil || !strings.Contains(err.Error(), "--shape") {
		t.Errorf("an exbibyte of weights gave %v", err)
	}
	if err := fits(1 << 20); err != nil {
		t.Error(err)
	}
}

func TestDiagnose(t *testing.T) {
	d, err := diagnose(0, 30*time.Millisecond, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	last := d.Tables[len(d.Tables)-1]
	if last.Name != "reference" || d.Chosen == "" || d.Why == "" || d.Machine.Memory < 1<<28 || d.Machine.Threads < 1 || d.Machine.CPU == "" {
		t.Errorf("diagnosis %+v of %+v", d, d.Machine)
	}
	if (d.All != nil) != (d.Library == "") || d.All != nil && (d.All.ReadGBs <= 0 || d.Single.Threads != 1) {
		t.Errorf("measured %v, library %q", d.All, d.Library)
	}
	var out bytes.Buffer
	if err := d.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"processor", "memory", "table reference", "chosen", d.Chosen} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("doctor does not print %q:\n%s", want, out.String())
		}
	}
	if text, err := json.Marshal(d); err != nil || !bytes.Contains(text, []byte(`"chosen":"`+d.Chosen+`"`)) {
		t.Errorf("JSON %s (%v)", text, err)
	}
}

// TestMachine reads what a made-up system says of itself.
func TestMachine(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"proc/cpuinfo":                               "processor\t: 0\nmodel name\t: Test CPU\nflags\t\t: fpu avx2 fma amx_tile\n\nprocessor\t: 1\nmodel name\t: Other\n",
		"proc/meminfo":                               "MemTotal:        2097152 kB\nMemAvailable:    1048576 kB\n",
		"proc/loadavg":                               "3.50 2.00 1.00 1/100 4242\n",
		"proc/self/cgroup":                           "0::/a/b\n",
		"proc/self/status":                           "Name:\tx\nVmRSS:\t    2048 kB\n",
		"sys/fs/cgroup/a/b/memory.max":               "max\n",
		"sys/fs/cgroup/a/memory.max":                 "1073741824\n",
		"sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
		"sys/devices/system/node/node0/x":                      "",
		"sys/devices/system/node/node1/x":                      "",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := readMachine(root)
	if m.CPU != "Test CPU" || !slices.Equal(m.Features, []string{"avx2", "fma", "amx_tile"}) || m.Memory != 2<<30 || m.Available != 1<<30 ||
		m.MemoryLimit != 1<<30 || m.usable() != 1<<30 || m.Load != 3.5 || m.HugePages != "never" || m.Governor != "powersave" || m.Nodes != 2 {
		t.Errorf("read %+v", m)
	}
	if got := residentBytes(root); got != 2<<20 {
		t.Errorf("resident %d", got)
	}
	if none := readMachine(t.TempDir()); none.usable() != 0 || none.CPU != "" || none.Nodes != 1 {
		t.Errorf("an empty system is %+v", none)
	}
}

func TestAdvice(t *testing.T) {
	good := machine{Processors: 4, Threads: 4, HugePages: "madvise", Nodes: 1, Features: []string{"avx512_vnni"}}
	fast := &measurement{Threads: 4, ReadGBs: 40}
	slow := &measurement{Threads: 1, ReadGBs: 20}
	check := func(change func(*diagnosis), want ...string) {
		t.Helper()
		m := good
		d := &diagnosis{Machine: &m, Single: slow, All: fast}
		change(d)
		got := d.advise()
		if len(got) != len(want) {
			t.Errorf("advice %q, want %q", got, want)
			return
		}
		for i, w := range want {
			if !strings.Contains(got[i], w) {
				t.Errorf("advice %q does not say %q", got[i], w)
			}
		}
	}
	const always = "at most 40 tokens/s"
	check(func(d *diagnosis) {}, always)
	check(func(d *diagnosis) { d.Machine.HugePages = "never" }, "echo madvise", always)
	check(func(d *diagnosis) { d.Machine.Governor = "powersave" }, "performance", always)
	check(func(d *diagnosis) { d.Machine.Threads = 2 }, "2 of 4", always)
	check(func(d *diagnosis) { d.Machine.Nodes = 2 }, "numactl", always)
	check(func(d *diagnosis) { d.Machine.Features = nil }, "VNNI", always)
	check(func(d *diagnosis) { d.Machine.Load = 3 }, "load 3.0", always)
	check(func(d *diagnosis) { d.Single = fast }, "more threads", always)
	check(func(d *diagnosis) { d.Library, d.All, d.Single = "none", nil, nil }, "make build")
}

// TestHelp: every command teaches with an example.
func TestHelp(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Example == "" || cmd.Long == "" || cmd.Short == "" {
			t.Errorf("%s lacks a text of its help", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	for _, cmd := range Commands() {
		walk(cmd)
	}
}
