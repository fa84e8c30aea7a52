package sample

import (
	"fmt"
	"math"
	"slices"
)

// Bias adds Value to the logit of Token; -Inf bans it.
type Bias struct {
	Token int32
	Value float32
}

// Params says how a request samples. Default gives the values that change nothing; the
// zero value is not valid.
type Params struct {
	Temperature       float32 // >= 0; 0 takes the most probable token
	TopK              int     // 0 is off
	TopP              float32 // 0..1; 1 is off, 0 keeps the most probable token
	MinP              float32 // 0..1; 0 is off
	TypicalP          float32 // 0..1; 1 is off
	RepetitionPenalty float32 // > 0; 1 is off
	PresencePenalty   float32 // 0 is off
	FrequencyPenalty  float32 // 0 is off
	LogitBias         []Bias  // each token once
	Seed              uint64
	MinTokens         int     // generated before a stop token may be drawn
	EOS               []int32 // the model's end tokens, which end an answer unless IgnoreEOS
	IgnoreEOS         bool
	StopIDs           []int32 // the request's own end tokens
}

// Default returns the parameters of plain sampling at temperature 1.
func Default() Params {
	return Params{Temperature: 1, TopP: 1, TypicalP: 1, RepetitionPenalty: 1}
}

// Validate returns an error that names the first parameter out of range, for a
// vocabulary of vocab tokens.
func (p *Params) Validate(vocab int) error {
	inf := float32(math.Inf(1))
	for _, f := range []struct {
		name             string
		value, low, high float32
	}{
		{"temperature", p.Temperature, 0, math.MaxFloat32},
		{"top_k", float32(p.TopK), 0, inf},
		{"top_p", p.TopP, 0, 1},
		{"min_p", p.MinP, 0, 1},
		{"typical_p", p.TypicalP, 0, 1},
		{"repetition_penalty", p.RepetitionPenalty, math.SmallestNonzeroFloat32, math.MaxFloat32},
		{"presence_penalty", p.PresencePenalty, -math.MaxFloat32, math.MaxFloat32},
		{"frequency_penalty", p.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32},
		{"min_tokens", float32(p.MinTokens), 0, inf},
	} {
		if !(f.value >= f.low && f.value <= f.high) { // so that NaN fails
			return fmt.Errorf("%s is %v, must be in [%v, %v]", f.name, f.value, f.low, f.high)
		}
	}
	return p.validateTokens(vocab)
}

func (p *Params) validateTokens(vocab int) error {
	for _, b := range p.LogitBias {
		if b.Token < 0 || int(b.Token) >= vocab {
			return fmt.Errorf("logit_bias names token %d, the vocabulary has %d", b.Token, vocab)
		}
		if !(b.Value <= math.MaxFloat32) {
			return fmt.Errorf("logit_bias of token %d is %v, must be a number", b.Token, b.Value)
		}
	}
	for _, id := range slices.Concat(p.EOS, p.StopIDs) {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("stop token %d is not in the vocabulary of %d", id, vocab)
		}
	}
	return nil
}

// Stops reports whether token ends an answer.
func (p *Params) Stops(token int32) bool {
	return slices.Contains(p.StopIDs, token) || !p.IgnoreEOS && slices.Contains(p.EOS, token)
}

// penalizes reports whether earlier tokens matter.
func (p *Params) penalizes() bool {
	return p.RepetitionPenalty != 1 || p.PresencePenalty != 0 || p.FrequencyPenalty != 0
}
