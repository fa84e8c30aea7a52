package train

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ingot-llm/ingot/engine/lora"
	"github.com/ingot-llm/ingot/engine/model/shape"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/convert"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/optim"
	"github.com/ingot-llm/ingot/train/param"
)

// pytorchRun is what testdata/pytorch.py repeats: of every run the mean losses of its
// steps, the folder it starts from and the one it ends in, and, of that, the
// log-probabilities of the held-out rows' tokens but the first.
type pytorchRun struct {
	Adapter  bool      `json:"adapter"` // the folders are an adapter's over the model
	Start    string    `json:"start"`
	End      string    `json:"end"`
	Rate     float64   `json:"rate"`
	Shares   []float64 `json:"shares"` // of the rate, step by step
	Losses   []float64 `json:"losses"`
	LogProbs []float32 `json:"logprobs"`
}

type pytorchJob struct {
	Model   string       `json:"model"` // whose weights all runs start from
	Batches [][][]int32  `json:"batches"`
	HeldOut [][]int32    `json:"held_out"`
	Decay   float64      `json:"decay"`
	Clip    float64      `json:"clip"`
	Runs    []pytorchRun `json:"runs"`
}

// TestPyTorch has PyTorch, transformers and PEFT repeat 100 steps in f32 of a llama of 15 M
// parameters and of adapters over it, LoRA and DoRA, from the same weights and batches: the losses agree
// to 1e-3, and so do the log-probabilities that they get of the folders we wrote.
// INGOT_PYTHON names a Python that has them; this takes minutes, so there is no default.
func TestPyTorch(t *testing.T) {
	python := os.Getenv("INGOT_PYTHON")
	if python == "" {
		t.Skip("INGOT_PYTHON names no Python (with pip install torch transformers peft)")
	}
	if out, err := exec.Command(python, "-c", "import torch, transformers, peft").CombinedOutput(); err != nil {
		t.Skipf("%s lacks a library (pip install torch transformers peft): %s", python, lastLine(out))
	}
	lib := kernels.Open(0, kernels.Options{})
	defer lib.Close()
	job := newPyTorchJob(t, lib.Tables()[0])
	sent, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-B", filepath.Join("testdata", "pytorch.py"))
	cmd.Stdin = bytes.NewReader(sent)
	printed, err := cmd.Output()
	if err != nil {
		t.Errorf("%v", err)
	}
	t.Logf("\n%s", printed)
}

func newPyTorchJob(t *testing.T, table *kernels.Table) *pytorchJob {
	s, err := shape.Find("llama-15m")
	if err != nil {
		t.Fatal(err)
	}
	set, err := param.New(s.Meta(), s.Tensors(), param.F32)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	set.Init(1)
	random := rand.New(rand.NewPCG(7, 8))
	job := &pytorchJob{Model: exported(t, set), HeldOut: zipfRows(random, s.Vocab), Decay: 0.1, Clip: 1}
	for range 100 {
		job.Batches = append(job.Batches, zipfRows(random, s.Vocab))
	}
	base := opened(t, job.Model)
	t.Cleanup(func() { base.Close() })
	full := pytorchRun{Start: job.Model, Rate: 1e-3}
	job.train(t, wholly(set), &full, table)
	full.End = exported(t, set)
	job.Runs = append(job.Runs, full)
	for _, dora := range []bool{false, true} {
		job.tune(t, lora.Config{Rank: 8, Alpha: 16, DoRA: dora}, base, table)
	}
	return job
}

// tune adds a run of an adapter over the model.
func (j *pytorchJob) tune(t *testing.T, c lora.Config, base quant.Source, table *kernels.Table) {
	a, err := newAdapter(base, loraOptions{Config: c, targets: []string{allLinear}}, table, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.set.Close() })
	r := pytorchRun{Adapter: true, Start: written(t, a, j.Model), Rate: 3e-3}
	j.train(t, network{source: base, set: a.set, adapter: a}, &r, table)
	r.End = written(t, a, j.Model)
	j.Runs = append(j.Runs, r)
}

// zipfRows are four rows whose tokens' frequencies fall as in a language, so that there is
// something to learn.
func zipfRows(random *rand.Rand, vocab int) (rows [][]int32) {
	zipf := rand.NewZipf(random, 1.2, 8, uint64(vocab-1))
	for range 4 {
		row := make([]int32, 129)
		for i := range row {
			row[i] = int32(zipf.Uint64())
		}
		rows = append(rows, row)
	}
	return rows
}

// sequencesOf gives each row's tokens their successors.
func sequencesOf(rows [][]int32) (all []loader.Sequence) {
	for _, r := range rows {
		all = append(all, loader.Sequence{Tokens: r[:len(r)-1], Targets: r[1:]})
	}
	return all
}

// train makes a step of every batch with AdamW, and fills in what came of it.
func (j *pytorchJob) train(t *testing.T, n network, r *pytorchRun, table *kernels.Table) {
	o, err := optim.NewAdamW(n.set, table)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	o.Rate, o.Decay, o.Clip = r.Rate, j.Decay, j.Clip
	p, err := newPass(n, table, len(j.HeldOut)*128, true, kernels.Training{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	schedule := optim.Schedule{Kind: "cosine", Warmup: 10, Steps: len(j.Batches)}
	for i, rows := range j.Batches {
		result, err := p.run(sequencesOf(rows))
		if err != nil {
			t.Fatal(err)
		}
		scale := 1 / float64(result.Targets)
		r.Losses = append(r.Losses, result.Loss*scale)
		r.Shares = append(r.Shares, schedule.At(i+1))
		if err := o.Step(r.Shares[i], scale, o.Norm(scale)); err != nil {
			t.Fatal(err)
		}
	}
	r.LogProbs = heldOut(t, n, j.HeldOut, table)
}

func heldOut(t *testing.T, n network, rows [][]int32, table *kernels.Table) []float32 {
	var b batch
	b.reset()
	for _, s := range sequencesOf(rows) {
		b.add(s)
	}
	if n.adapter != nil {
		return packedLogprobsAdapted(t, n, b.Batch, table)
	}
	return packedLogprobs(t, n, b.Batch, table)
}

func exported(t *testing.T, set *param.Set) string {
	dir := filepath.Join(t.TempDir(), "model")
	if err := convert.ToHF(t.Context(), set, dir, convert.HFOptions{Type: quant.F32.String()}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func written(t *testing.T, a *adapter, base string) string {
	dir := filepath.Join(t.TempDir(), "adapter")
	if err := lora.Write(dir, a.snapshot(), base); err != nil {
		t.Fatal(err)
	}
	return dir
}
