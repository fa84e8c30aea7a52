// Package calib finds out, by running a model over a text, what its weights multiply: what
// a quantizer needs to know to put rounding errors where they do least harm.
package calib

import (
	"context"
	"fmt"

	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/predict"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Options say what a model is run over.
type Options struct {
	Table    *kernels.Table
	Text     string
	Tokens   int                   // at most so many of the text's first
	Progress func(done, total int) // told of the tokens read; may be nil
}

// reader is a model that reads a text. One goroutine at a time.
type reader struct {
	*predict.Predictor
	windows [][]int32
	tokens  int // in all windows
	report  func(done, total int)
}

// open loads the model in src with a program that observes as options say.
func (o Options) open(src quant.Source, options model.Options) (*reader, error) {
	encode, err := predict.Encoder(src.Meta())
	if err != nil {
		return nil, err
	}
	p, err := predict.New(src, o.Table, options)
	if err != nil {
		return nil, err
	}
	ids, first := encode(o.Text)
	r := &reader{Predictor: p, report: o.Progress}
	for _, w := range p.Windows(ids[:min(len(ids), o.Tokens)], first) {
		w = w[:min(len(w), p.Window())] // without the last one, which is there to be predicted
		r.windows, r.tokens = append(r.windows, w), r.tokens+len(w)
	}
	if r.tokens == 0 {
		p.Close()
		return nil, fmt.Errorf("the text has %d token(s): nothing can be measured on it", len(ids))
	}
	return r, nil
}

// read runs the model over all windows.
func (r *reader) read(ctx context.Context) error {
	done := 0
	for _, w := range r.windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := r.Predict(w); err != nil {
			return err
		}
		done += len(w)
		if r.report != nil {
			r.report(done, r.tokens)
		}
	}
	return nil
}
