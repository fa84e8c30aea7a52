// Package predict lets a model predict every next token of a text, and says how far two
// models' predictions lie apart. It drives a model's program without engine or scheduler.
package predict

import (
	"errors"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Predictor is a model that tells its distribution of the next token after every token of
// a window. One goroutine at a time.
type Predictor struct {
	Model  *model.Model
	runner *kernels.Runner
}

// maxWindow bounds the tokens of a window, whose logits are all in memory at once.
const maxWindow = 512

// New loads the model in src, which must stay open until Close, with a cache in F32.
func New(src quant.Source, t *kernels.Table, o model.Options) (*Predictor, error) {
	o.KV = kernels.KVF32
	m, err := model.Load(src, o)
	if err != nil {
		return nil, err
	}
	p := &Predictor{Model: m}
	if m.Family.Encoder || m.Scores {
		p.Close()
		return nil, errors.New("the model predicts no next tokens")
	}
	n := p.Window()
	p.runner, err = kernels.NewRunner(m.Program, t, kernels.Limits{Tokens: n, LogitRows: n, Seqs: 1, Blocks: blocksFor(n)})
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close frees the program and its memory.
func (p *Predictor) Close() {
	if p.runner != nil {
		p.runner.Close()
	}
	p.Model.Program.Close()
}

// Window is how many tokens Predict takes at most.
func (p *Predictor) Window() int { return min(p.Model.Context, maxWindow) }

// Predict returns the logits [len(tokens), Vocab] after each of the tokens, which are a
// sequence of their own. They are valid until the next call.
func (p *Predictor) Predict(tokens []int32) ([]float32, error) {
	n := len(tokens)
	places := make([]int32, n)
	for i := range places {
		places[i] = int32(i)
	}
	err := p.runner.Run(&kernels.Batch{
		Tokens: tokens, Positions: places, Slots: places, LogitRows: places,
		RowStart: []int32{0, int32(n)}, SeqLen: []int32{int32(n)},
		TableStart: []int32{0, int32(blocksFor(n))}, Tables: places[:blocksFor(n)],
	})
	logits, _, _ := p.runner.Output()
	return logits, err
}

func blocksFor(tokens int) int { return (tokens + kernels.BlockTokens - 1) / kernels.BlockTokens }

// Quantizes reports whether a weight of the model has an integer form, so that the mode of
// activations counts.
func (p *Predictor) Quantizes() bool {
	for _, o := range p.Model.Program.Operands {
		if o.Kind == kernels.Weight && quant.HasIntForm(o.DType) {
			return true
		}
	}
	return false
}
