package train

import (
	"math"
	"slices"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/train/loader"
	"github.com/ingot-llm/ingot/train/shard"
)

// validation measures the loss on held-back documents, always the same tokens.
type validation struct {
	batches [][]loader.Sequence
	bytes   float64 // of text for each token; 0 where not all of it is learned
	tokens  int     // of a batch
	pass    *pass
}

// newValidation takes up to most tokens of shards in batches of tokens.
func newValidation(shards []*shard.Shard, tokens, context, most int) (*validation, error) {
	l, err := loader.New([]loader.Source{{Name: "valid", Shards: shards, Weight: 1}}, loader.Options{Tokens: tokens, Context: context})
	if err != nil {
		return nil, err
	}
	v := &validation{tokens: tokens}
	var all, bytes int64
	for _, s := range shards {
		all, bytes = all+s.Header.Tokens, bytes+s.Header.Bytes
	}
	if !slices.ContainsFunc(shards, func(s *shard.Shard) bool { return s.Header.Masked }) {
		v.bytes = float64(bytes) / float64(all)
	}
	for n := 0; n == 0 || n+tokens <= most && l.Epochs() == 0; n += tokens {
		v.batches = append(v.batches, clone(l.Next()))
	}
	return v, nil
}

// clone copies a batch out of the loader's memory.
func clone(batch []loader.Sequence) []loader.Sequence {
	out := make([]loader.Sequence, len(batch))
	for i, s := range batch {
		out[i] = loader.Sequence{Tokens: append([]int32(nil), s.Tokens...), Targets: append([]int32(nil), s.Targets...)}
	}
	return out
}

// open makes the program that measures a network.
func (v *validation) open(n network, table *kernels.Table) (err error) {
	v.pass, err = newPass(n, table, v.tokens, false, kernels.Training{})
	return err
}

func (v *validation) close() {
	if v.pass != nil {
		v.pass.close()
	}
}

// measure returns the mean loss of a target in nats, and of text that is learned as a
// whole in bits for each byte.
func (v *validation) measure() (loss, bitsPerByte float64, err error) {
	targets, tokens := 0, 0
	for _, b := range v.batches {
		r, err := v.pass.run(b)
		if err != nil {
			return 0, 0, err
		}
		loss, targets, tokens = loss+r.Loss, targets+r.Targets, tokens+r.Tokens
	}
	if v.bytes > 0 {
		bitsPerByte = loss / math.Ln2 / (v.bytes * float64(tokens))
	}
	return loss / float64(targets), bitsPerByte, nil
}
