package tokenizer

import (
	"errors"
	"fmt"
	"strings"
)

// spModel is what matters of SentencePiece's ModelProto; the field numbers are those
// of sentencepiece_model.proto.
type spModel struct {
	texts  []string
	scores []float32
	kinds  []kind

	bpe          bool
	byteFallback bool
	suffix       bool // treat_whitespace_as_suffix
	unk          int32
	bos, eos     int32
	pad          int32
	unkSurface   string

	charsmap              []byte
	dummy, squeeze, marks bool // add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces
}

// Model types of TrainerSpec.
const (
	spUnigram = 1
	spBPE     = 2
)

// FromSentencePiece reads a SentencePiece .model file of type unigram or BPE.
func FromSentencePiece(data []byte) (*Tokenizer, error) {
	m, err := parseSP(data)
	var t *Tokenizer
	if err == nil {
		t, err = m.build()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the SentencePiece model: %w", err)
	}
	return t, nil
}

func parseSP(data []byte) (*spModel, error) {
	m := &spModel{unk: 0, bos: 1, eos: 2, pad: -1, unkSurface: " \u2047 ", dummy: true, squeeze: true, marks: true}
	err := eachField(data, func(f field) error {
		switch {
		case f.wire != wireBytes:
			return nil
		case f.no == 1:
			return m.piece(f.bytes)
		case f.no == 2:
			return eachField(f.bytes, m.trainer)
		case f.no == 3:
			return eachField(f.bytes, m.normalizer)
		}
		return nil
	})
	if err == nil && len(m.texts) == 0 {
		err = errors.New("it holds no pieces")
	}
	return m, err
}

func (m *spModel) piece(data []byte) error {
	text, score, k := "", float32(0), normal
	err := eachField(data, func(f field) error {
		switch f.no {
		case 1:
			text = f.text()
		case 2:
			score = f.float()
		case 3:
			if k = kind(f.num); f.num < 1 || f.num > uint64(byteToken) {
				return fmt.Errorf("piece %d has the unknown type %d", len(m.texts), f.num)
			}
		}
		return nil
	})
	m.texts, m.scores, m.kinds = append(m.texts, text), append(m.scores, score), append(m.kinds, k)
	if len(m.texts) > maxVocab {
		return fmt.Errorf("it holds more than %d pieces", maxVocab)
	}
	return err
}

func (m *spModel) trainer(f field) error {
	switch f.no {
	case 3:
		if f.num != spUnigram && f.num != spBPE {
			return fmt.Errorf("its model type is %d, want unigram (1) or BPE (2)", f.num)
		}
		m.bpe = f.num == spBPE
	case 24:
		m.suffix = f.bool()
	case 35:
		m.byteFallback = f.bool()
	case 40:
		m.unk = f.id()
	case 41:
		m.bos = f.id()
	case 42:
		m.eos = f.id()
	case 43:
		m.pad = f.id()
	case 44:
		m.unkSurface = f.text()
	}
	return nil
}

func (m *spModel) normalizer(f field) error {
	switch f.no {
	case 2:
		m.charsmap = f.bytes
	case 3:
		m.dummy = f.bool()
	case 4:
		m.squeeze = f.bool()
	case 5:
		m.marks = f.bool()
	}
	return nil
}

func (m *spModel) build() (*Tokenizer, error) {
	v, err := newVocab(m.texts, m.kinds)
	if err != nil {
		return nil, err
	}
	b := builder{vocab: v, special: noSpecials}
	for id, to := range map[int32]*int32{m.bos: &b.special.bos, m.eos: &b.special.eos, m.pad: &b.special.pad} {
		if id >= 0 && int(id) < v.len() && v.kind[id] == control {
			*to = id
		}
	}
	for i, k := range v.kind {
		if k == unknown {
			b.special.unk = int32(i)
		}
	}
	if b.special.unk < 0 {
		return nil, errors.New("it holds no unknown piece")
	}
	if err := m.rules(&b); err != nil {
		return nil, err
	}
	if m.bpe {
		b.model = b.scored(m.scores)
	} else {
		b.model = m.unigram(&b)
	}
	if m.dummy {
		b.lead = leadOne
	}
	if m.squeeze {
		b.lead = leadEach
	}
	for i, k := range v.kind {
		if k == control {
			b.added.add(addedToken{id: int32(i), text: v.text[i], control: true})
		}
	}
	marked := markedPiece(v)
	return b.build(func(id int32) string {
		switch {
		case v.kind[id] == unknown:
			return m.unkSurface
		case v.kind[id] == control:
			return v.text[id]
		case v.kind[id] == userDefined:
			return strings.ReplaceAll(v.text[id], spaceMark, " ")
		}
		return marked(id)
	})
}

// rules sets the normalizer; user-defined pieces go through it unchanged and are then
// found as added tokens.
func (m *spModel) rules(b *builder) error {
	chars, err := newCharsmap(m.charsmap)
	if err != nil {
		return err
	}
	k := &spmRules{chars: chars, dummy: m.dummy, squeeze: m.squeeze, suffix: m.suffix, spaceText: " "}
	if m.marks {
		k.spaceText = spaceMark
	}
	for i, text := range b.vocab.text {
		if b.vocab.kind[i] != userDefined {
			continue
		}
		if k.keep == nil {
			k.keep = newTrie()
		}
		k.keep.add(text, int32(i))
		b.addedAfter.add(addedToken{id: int32(i), text: text})
	}
	b.normalize = k.normalize
	return nil
}

// unigram scores as SentencePiece does, in float32.
func (m *spModel) unigram(b *builder) *unigram {
	wide := make([]float64, len(m.scores))
	for i, s := range m.scores {
		wide[i] = float64(s)
	}
	u := newUnigram(b.vocab, wide, b.special.unk, m.byteFallback)
	u.narrow = true
	return u
}
