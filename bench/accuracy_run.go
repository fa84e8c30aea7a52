package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/model"
	"github.com/ingot-llm/ingot/engine/predict"
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/checkpoint"
	"github.com/ingot-llm/ingot/quant/convert"
)

// accuracy measures one model's types, each beside F32.
type accuracy struct {
	src    quant.Source
	dir    string // for the quantized forms
	table  *kernels.Table
	name   string
	out    *accuracyWriter
	stderr io.Writer

	f32     *predict.Predictor
	windows [][]int32
}

// measure writes the results of F32, then of each mix.
func (a *accuracy) measure(ctx context.Context, text string, tokens int, mixes []quant.Mix) error {
	return a.with(ctx, f32Mix, func(src quant.Source) (err error) {
		if a.f32, err = predict.New(src, a.table, model.Options{}); err != nil {
			return err
		}
		defer a.f32.Close()
		if a.windows, err = windows(src.Meta(), a.f32, text, tokens); err != nil {
			return err
		}
		if err := a.compare(ctx, f32Mix.Name, a.f32); err != nil {
			return err
		}
		for _, mix := range mixes {
			if err := a.with(ctx, mix, func(src quant.Source) error { return a.mix(ctx, mix, src) }); err != nil {
				return fmt.Errorf("%s: %w", mix.Name, err)
			}
		}
		return nil
	})
}

// with calls work with the model in a mix, as ingot quantize writes it, and removes it.
func (a *accuracy) with(ctx context.Context, mix quant.Mix, work func(quant.Source) error) error {
	path := filepath.Join(a.dir, mix.Name+".gguf")
	defer os.Remove(path)
	p := cli.NewProgress(a.stderr, "converting to "+mix.Name, true)
	err := convert.ToGGUF(ctx, a.src, path, convert.Options{Mix: mix, Progress: func(done, total int) { p.Set(int64(done), int64(total)) }})
	p.Done()
	if err != nil {
		return err
	}
	src, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	return work(src)
}

// mix compares a quantized form's modes of activations.
func (a *accuracy) mix(ctx context.Context, mix quant.Mix, src quant.Source) error {
	var modes []*predict.Predictor
	for _, act := range []kernels.Activations{kernels.ActBF16, kernels.ActInt8} {
		p, err := predict.New(src, a.table, model.Options{Activations: act})
		if err != nil {
			return err
		}
		defer p.Close()
		modes = append(modes, p)
		if !p.Quantizes() {
			break // plain weights meet bf16 activations in either mode
		}
	}
	return a.compare(ctx, mix.Name, modes...)
}

// compare lets F32 and the modes of one type predict the text, and writes a
// result for each mode.
func (a *accuracy) compare(ctx context.Context, typ string, modes ...*predict.Predictor) error {
	sums := make([]modeSums, len(modes))
	bar := cli.NewProgress(a.stderr, "predicting in "+typ, false)
	for i, w := range a.windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.window(w, modes, sums); err != nil {
			return err
		}
		bar.Set(int64(i+1), int64(len(a.windows)))
	}
	bar.Done()
	for i, p := range modes {
		if err := a.out.write(a.result(typ, p, kernels.Activations(i), sums[i])); err != nil {
			return err
		}
	}
	return nil
}

// modeSums compares one mode with F32, and with the first mode.
type modeSums struct{ f32, bf16 predict.Divergence }

func (a *accuracy) window(tokens []int32, modes []*predict.Predictor, sums []modeSums) error {
	known, next := tokens[:len(tokens)-1], tokens[1:]
	want, err := a.f32.Predict(known)
	if err != nil {
		return err
	}
	var first []float32
	for m, p := range modes {
		got := want
		if p != a.f32 {
			if got, err = p.Predict(known); err != nil {
				return err
			}
		}
		if m == 0 {
			first = got
		}
		sums[m].f32.Add(want, got, next)
		if m > 0 {
			sums[m].bf16.Add(first, got, next)
		}
	}
	return nil
}

func (a *accuracy) result(typ string, p *predict.Predictor, act kernels.Activations, s modeSums) accuracyResult {
	r := accuracyResult{
		Kind: "accuracy", Model: a.name, Type: typ, Stored: storedTypes(p.Model.Program), Activations: act.String(), Table: a.table.Name,
		Tokens: s.f32.Tokens, Perplexity: s.f32.Perplexity(), KL: s.f32.MeanKL(), Top1: s.f32.Top1(),
	}
	if p == a.f32 {
		r.Activations = "f32"
	}
	if s.bf16.Tokens > 0 {
		r.VsBF16 = &shift{KL: s.bf16.MeanKL(), Top1: s.bf16.Top1()}
	}
	return r
}

// windows cuts the text's first tokens into windows.
func windows(meta *quant.Meta, p *predict.Predictor, text string, most int) ([][]int32, error) {
	ids, first, err := textTokens(meta, text, p.Model.Vocab)
	if err != nil {
		return nil, err
	}
	out := p.Windows(ids[:min(most, len(ids))], first)
	if len(out) == 0 {
		return nil, fmt.Errorf("the text has %d token(s): there is no next one to predict", len(ids))
	}
	return out, nil
}

// textTokens returns the ids of a text and what begins every window: BOS or nothing.
func textTokens(meta *quant.Meta, text string, vocab int) (ids, first []int32, err error) {
	if meta.String("tokenizer.ggml.model", "") == "" {
		return wordTokens(text, vocab), nil, nil
	}
	encode, err := predict.Encoder(meta)
	if err != nil {
		return nil, nil, err
	}
	ids, first = encode(text)
	return ids, first, nil
}

// wordTokens are for a model without a tokenizer: the text's words, numbered at random.
func wordTokens(text string, vocab int) (ids []int32) {
	for word := range strings.FieldsSeq(text) {
		ids = append(ids, int32(seedOf(word)%uint64(vocab)))
	}
	return ids
}
