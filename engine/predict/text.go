package predict

import (
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant"
)

// Encoder returns a function that gives the ids of a text by the tokenizer in a model's
// metadata, and what begins every window of them: BOS where the model wants it, else
// nothing.
func Encoder(meta *quant.Meta) (func(text string) (ids, first []int32), error) {
	t, err := tokenizer.New(meta)
	if err != nil {
		return nil, err
	}
	var first []int32
	if t.AddsBOS() {
		first = []int32{t.BOS()}
	}
	return func(text string) ([]int32, []int32) {
		return t.Encode(nil, text, tokenizer.EncodeOptions{}), first
	}, nil
}

// Windows cuts ids into windows, each with first before its own, of one token more than p
// predicts after at once: the last one of a window is there to be predicted. What is too
// short to predict anything in is left out.
func (p *Predictor) Windows(ids, first []int32) (out [][]int32) {
	for len(ids)+len(first) > 1 && len(ids) > 0 {
		n := min(p.Window()+1-len(first), len(ids))
		out = append(out, append(first[:len(first):len(first)], ids[:n]...))
		ids = ids[n:]
	}
	return out
}
