package engine

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/hf"
)

// randomAdapter has a share in the modules of src whose weights' names contain part.
func randomAdapter(t *testing.T, src quant.Source, seed uint64, rank int, part string) *lora.Adapter {
	t.Helper()
	projections, err := hf.Projections(src)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 1))
	normal := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(0.05 * random.NormFloat64())
		}
		return out
	}
	a := &lora.Adapter{Config: lora.Config{Rank: rank, Alpha: 8}}
	for _, p := range projections {
		if strings.Contains(p.Weight, part) {
			a.Parts = append(a.Parts, lora.Part{Projection: p, Rank: rank, Scale: a.Scale(), A: normal(rank * p.In), B: normal(p.Out * rank)})
		}
	}
	return a
}

// outcomes returns what the target request gives with each adapter named, from an engine
// with those adapters. A crowd of strangers with any of them runs beside.
func outcomes(t *testing.T, src quant.Source, o Options, crowd int, names ...string) map[string]outcome {
	t.Helper()
	e, err := OpenSource(src, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	random := rand.New(rand.NewPCG(9, 9))
	var others, streams []*Stream
	for i := range crowd {
		r := stranger(random, 0)
		r.Adapter = names[i%len(names)]
		others = append(others, submit(t, e, r))
	}
	for _, name := range names {
		r := target()
		r.Adapter = name
		streams = append(streams, submit(t, e, r))
	}
	got := map[string]outcome{}
	for i, name := range names {
		got[name] = follow(t, streams[i])
	}
	for _, s := range others {
		follow(t, s)
	}
	return got
}

// TestAdapterSameBits: a request with an adapter has the bits of an engine with that one
// alone, one without of an engine without, whoever shares the batch, however the prompt is
// cut, and although all have the same prompt and a prefix cache.
func TestAdapterSameBits(t *testing.T) {
	for _, d := range []quant.DType{quant.F32, quant.BF16, quant.Q8_0, quant.Q4_K} {
		src := newSmallModel(t, d)
		x, y := Adapter{"x", randomAdapter(t, src, 1, 4, "")}, Adapter{"y", randomAdapter(t, src, 2, 20, "attn_")}
		for _, table := range []*kernels.Table{kernels.Tables()[0], kernels.Reference} {
			if table == kernels.Reference && d != quant.Q8_0 {
				continue
			}
			o := Options{MaxSeqs: 40, BatchTokens: 256, ChunkTokens: 256, KVMemory: 1 << 30, Table: table.Name}
			with := func(chunk int, adapters ...Adapter) Options {
				w := o
				w.ChunkTokens, w.Adapters = chunk, adapters
				return w
			}
			want := outcomes(t, src, o, 0, "")
			for name, a := range map[string]Adapter{"x": x, "y": y} {
				want[name] = outcomes(t, src, with(256, a), 0, name)[name]
			}
			if slices.Equal(want[""], want["x"]) || slices.Equal(want["x"], want["y"]) {
				t.Fatalf("%v: the adapters change nothing", d)
			}
			for chunk, crowd := range map[int]int{256: 0, 7: 9} {
				got := outcomes(t, src, with(chunk, x, y), crowd, "", "x", "y")
				for name := range want {
					if !slices.Equal(got[name], want[name]) {
						t.Errorf("%v on %s, chunks of %d, %d others: adapter %q gives other bits than alone", d, table.Name, chunk, crowd, name)
					}
				}
			}
		}
	}
}

// TestAdapterStats: the state names the adapters that run and wait while they do.
func TestAdapterStats(t *testing.T) {
	src := newSmallModel(t, quant.F32)
	x := randomAdapter(t, src, 1, 4, "")
	e, err := OpenSource(src, Options{Adapters: []Adapter{{"x", x}, {"y", x}}, MaxSeqs: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var seen sync.Map
	e.OnStep(func(StepStats) {
		s := e.Stats()
		seen.Store(fmt.Sprint(s.RunningAdapters, s.WaitingAdapters), true)
	})
	saw := func(state string) bool { _, ok := seen.Load(state); return ok }
	for try := 0; try < 50 && !saw("[y] [x]"); try++ { // the first may be done before the second comes
		var streams []*Stream
		for _, name := range []string{"y", "x"} {
			r := target()
			r.Adapter = name
			stream, err := e.Submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, stream)
		}
		for _, s := range streams {
			follow(t, s)
		}
	}
	if !saw("[y] [x]") || !saw("[x] []") || saw("[x y] []") {
		t.Error("the running and waiting adapters are others than y and x, then x")
	}
	for deadline := time.Now().Add(10 * time.Second); len(e.Stats().RunningAdapters) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("an adapter runs at rest")
		}
	}
}

// TestLoRAFlag: adapters are opened from folders under their names; what is wrong is said.
func TestLoRAFlag(t *testing.T) {
	src := newSmallModel(t, quant.F32)
	dir := filepath.Join(t.TempDir(), "poet")
	if err := lora.Write(dir, randomAdapter(t, src, 1, 4, ""), "small"); err != nil {
		t.Fatal(err)
	}
	e, err := OpenSource(src, Options{LoRA: []string{dir, "clerk=" + dir}, MaxSeqs: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := fmt.Sprint(e.Info().Adapters); got != "[poet clerk]" {
		t.Errorf("the adapters are %s", got)
	}
	r := target()
	r.Adapter = "nobody"
	if _, err := e.Submit(t.Context(), r); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("an unknown adapter gives %v", err)
	}
	for _, args := range [][]string{{dir, dir}, {"=" + dir}, {"poet="}, {"poet=" + t.TempDir()}} {
		if e, err := OpenSource(src, Options{LoRA: args, MaxSeqs: 4}, nil); err == nil {
			e.Close()
			t.Errorf("--lora %q is taken", args)
		}
	}
}
