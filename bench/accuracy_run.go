package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/engine/tokenizer"
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

	f32     *predictor
	windows [][]int32
}

// measure writes the results of F32, then of each mix.
func (a *accuracy) measure(ctx context.Context, text string, tokens int, mixes []quant.Mix) error {
	return a.with(ctx, f32Mix, func(src quant.Source) (err error) {
		if a.f32, err = newPredictor(src, a.table, kernels.ActBF16); err != nil {
			return err
		}
		defer a.f32.close()
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
	var modes []*predictor
	for _, act := range []kernels.Activations{kernels.ActBF16, kernels.ActInt8} {
		p, err := newPredictor(src, a.table, act)
		if err != nil {
			return err
		}
		defer p.close()
		modes = append(modes, p)
		if !p.quantizes() {
			break // plain weights meet bf16 activations in either mode
		}
	}
	return a.compare(ctx, mix.Name, modes...)
}

// compare lets F32 and the modes of one type predict the text, and writes a
// result for each mode.
func (a *accuracy) compare(ctx context.Context, typ string, modes ...*predictor) error {
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
type modeSums struct{ f32, bf16 divergence }

func (a *accuracy) window(tokens []int32, modes []*predictor, sums []modeSums) error {
	known, next := tokens[:len(tokens)-1], tokens[1:]
	want, err := a.f32.predict(known)
	if err != nil {
		return err
	}
	var first []float32
	for m, p := range modes {
		got := want
		if p != a.f32 {
			if got, err = p.predict(known); err != nil {
				return err
			}
		}
		if m == 0 {
			first = got
		}
		width := len(got) / len(known)
		for i, id := range next {
			from, to := i*width, (i+1)*width
			sums[m].f32.add(want[from:to], got[from:to], id)
			if m > 0 {
				sums[m].bf16.add(first[from:to], got[from:to], id)
			}
		}
	}
	return nil
}

func (a *accuracy) result(typ string, p *predictor, act kernels.Activations, s modeSums) accuracyResult {
	r := accuracyResult{
		Kind: "accuracy", Model: a.name, Type: typ, Stored: storedTypes(p.model.Program), Activations: act.String(), Table: a.table.Name,
		Tokens: s.f32.tokens, Perplexity: s.f32.perplexity(), KL: s.f32.meanKL(), Top1: s.f32.top1(),
	}
	if p == a.f32 {
		r.Activations = "f32"
	}
	if s.bf16.tokens > 0 {
		r.VsBF16 = &shift{KL: s.bf16.meanKL(), Top1: s.bf16.top1()}
	}
	return r
}

// windows cuts the text's first tokens into windows of one token more than p predicts
// after at once. Each begins with BOS where the model wants it.
func windows(meta *quant.Meta, p *predictor, text string, most int) (out [][]int32, err error) {
	ids, first, err := textTokens(meta, text, p.model.Vocab)
	if err != nil {
		return nil, err
	}
	for ids = ids[:min(most, len(ids))]; len(ids)+len(first) > 1; {
		n := min(p.window()+1-len(first), len(ids))
		out = append(out, append(first[:len(first):len(first)], ids[:n]...))
		ids = ids[n:]
	}
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
	t, err := tokenizer.New(meta)
	if err != nil {
		return nil, nil, err
	}
	if t.AddsBOS() {
		first = []int32{t.BOS()}
	}
	return t.Encode(nil, text, tokenizer.EncodeOptions{}), first, nil
}

// wordTokens are for a model without a tokenizer: the text's words, numbered at random.
func wordTokens(text string, vocab int) (ids []int32) {
	for word := range strings.FieldsSeq(text) {
		ids = append(ids, int32(seedOf(word)%uint64(vocab)))
	}
	return ids
}
