package train

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
)

// TestTrainerIsEngine: after some steps of training, the log-probabilities of a packed
// batch are, bit for bit, those that the engine gives for each sequence, in chunks, over
// the same memory, over the exported directory and over the GGUF; and the loss that the
// training program computes is their negative.
func TestTrainerIsEngine(t *testing.T) {
	for _, name := range []string{"llama-tied", "qwen3", "gpt2", "gemma3", "mixtral"} {
		for _, p := range []param.Precision{param.F32, param.BF16} {
			t.Run(name+" "+p.String(), func(t *testing.T) {
				table := kernels.Tables()[0]
				set := openSet(t, name, p)
				sequences := whole(randomDocuments(rand.New(rand.NewPCG(5, 6)), 384, 40, 3, 21))
				e := newTrainee(t, wholly(set), sequences, table, kernels.Training{})
				trainSome(t, e, table)
				want := packedLogprobs(t, wholly(set), e.batch, table)
				checkLosses(t, e, want)
				dir, file := exportBoth(t, set, p)
				sources := map[string]quant.Source{"in memory": borrowed{set}, "the GGUF": opened(t, file)}
				if name != "gemma3" { // its directory holds norms less 1, which takes bits from those beyond 1/2 ... 2
					sources["the directory"] = opened(t, dir)
				}
				for where, src := range sources {
					sameLogprobs(t, where, engineLogprobs(t, src, p, sequences), want)
				}
			})
		}
	}
}

// whole gives every token but a sequence's last its successor as the target.
func whole(sequences []loader.Sequence) []loader.Sequence {
	for _, s := range sequences {
		copy(s.Targets, s.Tokens[1:])
		s.Targets[len(s.Targets)-1] = -1
	}
	return sequences
}

func trainSome(t *testing.T, e *trainee, table *kernels.Table) {
	t.Helper()
	o, err := optim.NewAdamW(e.set, table)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for range 3 {
		e.loss(t)
		if err := o.Step(1, 1.0/60, o.Norm(1.0/60)); err != nil {
			t.Fatal(err)
		}
	}
}

// packedLogprobs runs the program that serves over the trainer's batch.
func packedLogprobs(t *testing.T, n network, b kernels.Batch, table *kernels.Table) (all []float32) {
	t.Helper()
	m, err := model.Load(n.source, model.Options{KV: n.kv(), Adapters: n.lowRank()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Program.Close()
	r, err := kernels.NewRunner(m.Program, table, kernels.Limits{Tokens: len(b.Tokens), LogitRows: len(b.LogitRows), Seqs: len(b.SeqLen), Blocks: len(b.Tables)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Run(&b); err != nil {
		t.Fatal(err)
	}
	s := sample.New(table)
	defer s.Close()
	logits, rows, width := r.Output()
	for i := range rows {
		logprob, _, err := s.Logprobs(nil, logits[i*width:][:width], b.Targets[i], 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, logprob)
	}
	return all
}

// checkLosses compares the training program's losses: another formula of the same sum.
func checkLosses(t *testing.T, e *trainee, logprobs []float32) {
	t.Helper()
	e.loss(t)
	losses, _, _ := e.runner.Output()
	for i, l := range losses {
		if d := math.Abs(float64(l + logprobs[i])); d > 4e-6*max(1, float64(l)) {
			t.Errorf("target %d has the loss %g, but the log-probability %g", i, l, logprobs[i])
		}
	}
}

func exportBoth(t *testing.T, set *param.Set, p param.Precision) (dir, file string) {
	t.Helper()
	dir, file = filepath.Join(t.TempDir(), "model"), filepath.Join(t.TempDir(), "model.gguf")
	if err := convert.ToHF(context.Background(), set, dir, convert.HFOptions{Type: quant.DType(p).String()}); err != nil {
		t.Fatal(err)
	}
	if err := convert.ToGGUF(context.Background(), set, file, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

func opened(t *testing.T, path string) quant.Source {
	t.Helper()
	src, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// engineLogprobs scores each sequence as a prompt of its own, cut into small chunks, with
// the first adapter if there are any.
func engineLogprobs(t *testing.T, src quant.Source, p param.Precision, sequences []loader.Sequence, adapters ...engine.Adapter) (all []float32) {
	t.Helper()
	kv := "bf16"
	if p == param.F32 {
		kv = "f32"
	}
	name := ""
	if len(adapters) > 0 {
		name = adapters[0].Name
	}
	e, err := engine.OpenSource(src, engine.Options{Model: "test", KVType: kv, Activations: "bf16", ChunkTokens: 7, KVMemory: 16 << 20, Adapters: adapters}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, s := range sequences {
		stream, err := e.Submit(context.Background(), engine.Request{Prompt: s.Tokens, N: 1, Sampling: sample.Default(), Logprobs: -1, PromptLogprobs: 0, Adapter: name})
		if err != nil {
			t.Fatal(err)
		}
		for {
			event, err := stream.Next(context.Background())
			if err == io.EOF {
				break
			}
			if err != nil || event.Err != nil {
				t.Fatal(err, event.Err)
			}
		}
		for _, token := range stream.Prompt()[1:] {
			all = append(all, token.Logprob)
		}
	}
	return all
}

func sameLogprobs(t *testing.T, where string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d log-probabilities, want %d", where, len(got), len(want))
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s: log-probability %d is %g, the trainer's %g", where, i, got[i], want[i])
			return
		}
	}
}

// checkExported opens a model as the engine does and asks it for a token.
func checkExported(t *testing.T, dir string) {
	t.Helper()
	got := engineLogprobs(t, opened(t, dir), param.BF16, []loader.Sequence{{Tokens: []int32{5, 6, 7}}})
	for _, l := range got {
		if !(l < 0) {
			t.Errorf("a token has the log-probability %g", l)
		}
	}
}
