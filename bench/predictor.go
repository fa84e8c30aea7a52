package bench

import (
	"errors"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// predictor is a model in one mode of activations that tells its distribution of the
// next token after every token of a window. One goroutine at a time.
type predictor struct {
	model  *model.Model
	runner *kernels.Runner
}

// maxWindow bounds the tokens of a window, whose logits are all in memory at once.
const maxWindow = 512

// newPredictor loads the model in src, which must stay open until close.
func newPredictor(src quant.Source, t *kernels.Table, act kernels.Activations) (*predictor, error) {
	m, err := model.Load(src, model.Options{Activations: act, KV: kernels.KVF32})
	if err != nil {
		return nil, err
	}
	p := &predictor{model: m}
	if m.Family.Encoder || m.Scores {
		p.close()
		return nil, errors.New("the model predicts no next tokens: accuracy is measured by them")
	}
	n := p.window()
	p.runner, err = kernels.NewRunner(m.Program, t, kernels.Limits{Tokens: n, LogitRows: n, Seqs: 1, Blocks: blocksFor(n)})
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *predictor) close() {
	if p.runner != nil {
		p.runner.Close()
	}
	p.model.Program.Close()
}

// window is how many tokens predict takes at most.
func (p *predictor) window() int { return min(p.model.Context, maxWindow) }

// predict returns the logits [len(tokens), Vocab] after each of the tokens, which are a
// sequence of their own. They are valid until the next call.
func (p *predictor) predict(tokens []int32) ([]float32, error) {
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

// quantizes reports whether a weight of the model has an integer form, so that the mode of
// activations counts.
func (p *predictor) quantizes() bool {
	for _, o := range p.model.Program.Operands {
		if o.Kind == kernels.Weight && quant.HasIntForm(o.DType) {
			return true
		}
	}
	return false
}
