package tokenizer

import (
	"fmt"
	"strings"

	"github.com/ingot-llm/ingot/engine/tokenizer/regex"
)

// builder gathers the parts of a Tokenizer, whatever file they come from.
type builder struct {
	vocab             *vocab
	model             model
	added, addedAfter addedSet
	normalize         normalizer
	stages            []stage
	special           specials
	addBOS, addEOS    bool
	prefix, suffix    []int32 // in place of BOS and EOS, where the file says so itself
	lead              leadRule
	endings           []int // further ids that end a generation
}

// build finishes the tokenizer. piece gives the bytes that a token adds to a text.
func (b *builder) build(piece func(id int32) string) (*Tokenizer, error) {
	if err := b.vocab.setPieces(piece); err != nil {
		return nil, err
	}
	t := &Tokenizer{vocab: b.vocab, model: b.model, added: b.added, addedAfter: b.addedAfter, normalize: b.normalize,
		stages: b.stages, prefix: b.prefix, suffix: b.suffix, lead: b.lead, special: b.special, pool: newPool()}
	if b.addBOS && b.special.bos >= 0 {
		t.prefix = append(t.prefix, b.special.bos)
	}
	if b.addEOS && b.special.eos >= 0 {
		t.suffix = append(t.suffix, b.special.eos)
	}
	t.eogs = b.vocab.endings(&t.special, b.endings)
	return t, nil
}

// addControls makes added tokens of all control and user-defined tokens, and of the
// unknown token.
func (b *builder) addControls() {
	for i, text := range b.vocab.text {
		switch k := b.vocab.kind[i]; k {
		case control, unknown, userDefined:
			b.added.add(addedToken{id: int32(i), text: text, control: k != userDefined})
		}
	}
}

// patternStage returns the stage that isolates the matches of a pattern.
func patternStage(pattern string) (stage, error) {
	if c, ok := cuts[pattern]; ok {
		return stage{cut: c}, nil
	}
	if c, ok := textCuts[pattern]; ok {
		return stage{perText: c}, nil
	}
	re, err := regex.Compile(pattern)
	if err != nil {
		return stage{}, fmt.Errorf("cannot split text: %w", err)
	}
	return stage{perText: budgeted(re)}, nil
}

// byteLevelPiece spells tokens written as GPT-2 writes bytes. Added tokens, and what
// is not so written, stand for themselves.
func byteLevelPiece(v *vocab) func(id int32) string {
	return func(id int32) string {
		text := v.text[id]
		if k := v.kind[id]; k == control || k == userDefined {
			return text
		}
		if raw, ok := bytesOfRunes(text); ok {
			return raw
		}
		return text
	}
}

// markedPiece spells tokens in SentencePiece's writing: space marks are spaces and
// <0xAB> is a byte.
func markedPiece(v *vocab) func(id int32) string {
	return func(id int32) string {
		text := v.text[id]
		switch v.kind[id] {
		case control, unknown, userDefined:
			return text
		case byteToken:
			if c, ok := byteOf(text); ok {
				return string([]byte{c})
			}
		}
		return strings.ReplaceAll(text, spaceMark, " ")
	}
}

// crossesWords reports whether some merge joins text across the start of a space mark
// that follows something else. Where none does, markedWords may cut a text there
// without changing its ids, and words are short.
func (m *bpe) crossesWords(text func(id int32) string) bool {
	for _, s := range m.pairs.slots {
		if s.key == noPair {
			continue
		}
		left, right := text(int32(s.key>>32)), text(int32(uint32(s.key)))
		if strings.HasPrefix(right, spaceMark) && strings.TrimLeft(left, spaceMark) != "" {
			return true
		}
	}
	return false
}

// symbolText returns the text of a token or virtual symbol.
func (m *bpe) symbolText(v *vocab) func(id int32) string {
	return func(id int32) string {
		if id >= m.tokens {
			return m.virtual[id-m.tokens]
		}
		return v.text[id]
	}
}
