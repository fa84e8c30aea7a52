package tokenizer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// Keys of GGUF metadata.
const (
	keyModel    = "tokenizer.ggml.model"
	keyPre      = "tokenizer.ggml.pre"
	keyTokens   = "tokenizer.ggml.tokens"
	keyTypes    = "tokenizer.ggml.token_type"
	keyScores   = "tokenizer.ggml.scores"
	keyMerges   = "tokenizer.ggml.merges"
	keyBOS      = "tokenizer.ggml.bos_token_id"
	keyEOS      = "tokenizer.ggml.eos_token_id"
	keyEOT      = "tokenizer.ggml.eot_token_id"
	keyEOM      = "tokenizer.ggml.eom_token_id"
	keyUNK      = "tokenizer.ggml.unknown_token_id"
	keySEP      = "tokenizer.ggml.seperator_token_id" // sic
	keyPAD      = "tokenizer.ggml.padding_token_id"
	keyCLS      = "tokenizer.ggml.cls_token_id"
	keyMask     = "tokenizer.ggml.mask_token_id"
	keyAddBOS   = "tokenizer.ggml.add_bos_token"
	keyAddEOS   = "tokenizer.ggml.add_eos_token"
	keyAddSEP   = "tokenizer.ggml.add_sep_token"
	keyAddSpace = "tokenizer.ggml.add_space_prefix"
	keySqueeze  = "tokenizer.ggml.remove_extra_whitespaces"
	keyCharsmap = "tokenizer.ggml.precompiled_charsmap"
	keyHF       = "tokenizer.huggingface.json"
	keyEnds     = "ingot.generation.eos_token_ids"
)

// New makes the tokenizer that a model's metadata describes. Where the metadata holds
// the whole tokenizer.json (key tokenizer.huggingface.json) that is used, as it is
// exact; the keys of tokenizer.ggml still say which ids are BOS, EOS and the like.
// Otherwise the arrays of tokenizer.ggml make a tokenizer of the model gpt2, llama,
// t5, bert or gemma4.
func New(meta *quant.Meta) (*Tokenizer, error) {
	if text := meta.String(keyHF, ""); text != "" {
		if t, err := newFromEmbedded(meta, text); err == nil || !meta.Has(keyTokens) {
			return t, err
		}
	}
	if err := meta.Need(keyModel, keyTokens); err != nil {
		return nil, fmt.Errorf("cannot make a tokenizer: %w", err)
	}
	t, err := newGGML(meta)
	if err != nil {
		return nil, fmt.Errorf("cannot make a tokenizer from the model's metadata: %w", err)
	}
	return t, nil
}

func newFromEmbedded(meta *quant.Meta, text string) (*Tokenizer, error) {
	b, err := newHFBuilder(HF{Tokenizer: []byte(text)})
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", keyHF, err)
	}
	if n := len(meta.Strings(keyTokens)); n > 0 && n < b.vocab.len() {
		return nil, fmt.Errorf("%s has %d tokens but %s %d", keyHF, b.vocab.len(), keyTokens, n)
	}
	if !meta.Has(keyEOS) {
		b.guessRoles()
	}
	g := ggmlBuilder{builder: b.builder, meta: meta}
	g.roles(b.special)
	b.builder = g.builder
	b.adjustAround(meta.Has(keyAddBOS), meta.Has(keyAddEOS))
	return b.finish()
}

// adjustAround makes what the post-processor puts around a text follow addBOS and
// addEOS, where these were stated.
func (b *hfBuilder) adjustAround(bosStated, eosStated bool) {
	b.prefix, b.addBOS = follow(b.prefix, b.special.bos, bosStated, b.addBOS)
	b.suffix, b.addEOS = follow(b.suffix, b.special.eos, eosStated, b.addEOS)
}

// follow returns ids without id if it is stated that it is not added, and whether it
// has still to be added.
func follow(ids []int32, id int32, stated, add bool) ([]int32, bool) {
	if !stated || id < 0 {
		return ids, false
	}
	if !add {
		return slices.DeleteFunc(ids, func(x int32) bool { return x == id }), false
	}
	return ids, !slices.Contains(ids, id)
}

// ggmlBuilder makes a tokenizer from the arrays of tokenizer.ggml.
type ggmlBuilder struct {
	builder
	meta *quant.Meta
}

func newGGML(meta *quant.Meta) (*Tokenizer, error) {
	b := &ggmlBuilder{meta: meta}
	if err := b.readVocab(); err != nil {
		return nil, err
	}
	switch name := meta.String(keyModel, ""); name {
	case "gpt2", "gemma4":
		return b.gpt2(name)
	case "llama":
		return b.llama()
	case "t5":
		return b.t5()
	case "bert":
		return b.bert()
	default:
		return nil, fmt.Errorf("%s is %q, want gpt2, llama, t5, bert or gemma4", keyModel, name)
	}
}

func (b *ggmlBuilder) readVocab() error {
	texts := slices.Clone(b.meta.Strings(keyTokens))
	types := b.meta.Ints(keyTypes)
	if types != nil && len(types) < len(texts) {
		return fmt.Errorf("%s has %d entries for %d tokens", keyTypes, len(types), len(texts))
	}
	kinds := make([]kind, len(texts))
	for i := range texts {
		kinds[i] = normal
		if types != nil {
			kinds[i] = kind(types[i])
			if types[i] < int(normal) || types[i] > int(byteToken) {
				kinds[i] = unused
			}
		}
		if texts[i] == "" {
			texts[i], kinds[i] = fmt.Sprintf("[EMPTY_%d]", i), unused
		}
	}
	v, err := newVocab(texts, kinds)
	if err != nil {
		return fmt.Errorf("%s: %w", keyTokens, err)
	}
	v.markControls()
	b.vocab = v
	return nil
}

// roles reads the special ids over what the tokenizer's type implies, and what is
// added around a text. An id that is no token's counts as absent, as in llama.cpp:
// models with a padded embedding name such ids. So does an implied id whose token is
// plain text.
func (b *ggmlBuilder) roles(def specials) {
	b.special = def
	s := &b.special
	for _, r := range []struct {
		key string
		id  *int32
	}{
		{keyBOS, &s.bos}, {keyEOS, &s.eos}, {keyEOT, &s.eot}, {keyEOM, &s.eom}, {keyUNK, &s.unk}, {keySEP, &s.sep},
		{keyPAD, &s.pad}, {keyCLS, &s.cls}, {keyMask, &s.mask},
	} {
		id, stated := b.meta.Int(r.key, int(*r.id)), b.meta.Has(r.key)
		if id < 0 || id >= b.vocab.len() || !stated && b.vocab.kind[id] != control && b.vocab.kind[id] != unknown {
			id = -1
		}
		*r.id = int32(id)
	}
	b.addBOS = b.meta.Bool(keyAddBOS, b.addBOS)
	b.addEOS = b.meta.Bool(keyAddEOS, b.addEOS)
	b.endings = b.meta.Ints(keyEnds)
}

// gpt2 is byte-level BPE with a pre-tokenizer known by name.
func (b *ggmlBuilder) gpt2(model string) (*Tokenizer, error) {
	name := b.meta.String(keyPre, "default")
	if model == "gemma4" {
		name = model
	}
	p, ok := pres[name]
	if !ok {
		return nil, fmt.Errorf("%s is %q, want one of %s", keyPre, name, strings.Join(knownPres(), ", "))
	}
	b.addBOS = p.addBOS
	b.roles(specials{bos: 11, eos: 11, eot: -1, eom: -1, pad: -1, unk: -1, sep: -1, cls: -1, mask: -1})
	for _, pattern := range p.patterns {
		st, err := patternStage(pattern)
		if err != nil {
			return nil, err
		}
		b.stages = append(b.stages, st)
	}
	if err := b.gpt2Model(p); err != nil {
		return nil, err
	}
	b.addControls()
	if b.meta.Bool(keyAddSEP, p.addSep) && b.special.sep >= 0 {
		b.suffix = []int32{b.special.sep}
	}
	if p.marks {
		b.normalize = replaceAll(" ", spaceMark)
		return b.build(markedPiece(b.vocab))
	}
	return b.build(byteLevelPiece(b.vocab))
}

func (b *ggmlBuilder) gpt2Model(p pre) error {
	lines := b.meta.Strings(keyMerges)
	if lines == nil {
		return fmt.Errorf("the model's metadata lacks %q", keyMerges)
	}
	merges := make([]mergePair, len(lines))
	for i, line := range lines {
		var err error
		if merges[i], err = parseMerge(line); err != nil {
			return fmt.Errorf("%s[%d]: %w", keyMerges, i, err)
		}
	}
	c := bpeConfig{byteLevel: !p.marks, byteFallback: p.marks, wholeFirst: p.ignoreMerges, unk: -1}
	m := newBPE(b.vocab, c)
	if err := m.addMerges(b.vocab, merges, c); err != nil {
		return err
	}
	raw := func(id int32) string { return b.vocab.text[id] }
	if c.byteLevel {
		raw = func(id int32) string { return unbyte(b.vocab.text[id]) }
	}
	m.finish(b.vocab, raw, c.wholeFirst)
	if p.marks {
		// Gemma 4 has tokens for rows of line breaks that no merge makes.
		for n := 1; b.vocab.id(strings.Repeat("\n", n)) >= 0; n++ {
			m.whole.set(strings.Repeat("\n", n), b.vocab.id(strings.Repeat("\n", n)))
		}
	}
	b.model = m
	return nil
}

// scores returns a score per token, zeros where the metadata has none.
func (b *ggmlBuilder) scores() ([]float32, error) {
	scores := b.meta.Floats(keyScores)
	if scores == nil {
		return make([]float32, b.vocab.len()), nil
	}
	if len(scores) < b.vocab.len() {
		return nil, fmt.Errorf("%s has %d entries for %d tokens", keyScores, len(scores), b.vocab.len())
	}
	return scores[:b.vocab.len()], nil
}

// llama is SentencePiece's BPE: tokens merge by falling score.
func (b *ggmlBuilder) llama() (*Tokenizer, error) {
	b.addBOS = true
	b.roles(specials{bos: 1, eos: 2, eot: -1, eom: -1, pad: -1, unk: 0, sep: -1, cls: -1, mask: -1})
	scores, err := b.scores()
	if err != nil {
		return nil, err
	}
	b.model = b.scored(scores)
	ns := []normalizer{replaceAll(" ", spaceMark)}
	if b.meta.Bool(keyAddSpace, true) {
		ns = append(ns, prepend(spaceMark))
		b.lead = leadOne
	}
	b.normalize = inOrder(ns)
	b.addControls()
	return b.build(markedPiece(b.vocab))
}

// scored makes the BPE of SentencePiece and, where that changes no id, the stage that
// cuts texts into words.
func (b *builder) scored(scores []float32) *bpe {
	raw := func(id int32) string { return b.vocab.text[id] }
	m := newBPE(b.vocab, bpeConfig{byteFallback: true, unk: b.special.unk, fuseUnk: true})
	m.addRanked(b.vocab, raw, scoreRanks(scores))
	if !m.crossesWords(m.symbolText(b.vocab)) {
		b.stages = []stage{{cut: markedWords}}
	}
	m.finish(b.vocab, raw, false)
	return m
}

// t5 is SentencePiece's unigram model.
func (b *ggmlBuilder) t5() (*Tokenizer, error) {
	b.addEOS = true
	b.roles(specials{bos: -1, eos: 1, eot: -1, eom: -1, pad: 0, unk: 2, sep: -1, cls: -1, mask: -1})
	scores, err := b.scores()
	if err != nil {
		return nil, err
	}
	wide := make([]float64, len(scores))
	for i, s := range scores {
		if wide[i] = float64(s); b.vocab.kind[i] == userDefined {
			wide[i] = 0
		}
	}
	b.model = newUnigram(b.vocab, wide, b.special.unk, false)
	chars, err := newCharsmap(bytesIn(b.meta, keyCharsmap))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyCharsmap, err)
	}
	k := &spmRules{chars: chars, dummy: b.meta.Bool(keyAddSpace, false), squeeze: b.meta.Bool(keySqueeze, false), spaceText: spaceMark}
	b.normalize = k.normalize
	if k.dummy {
		b.lead = leadOne
	}
	b.addControls()
	return b.build(markedPiece(b.vocab))
}

// bert is WordPiece in llama.cpp's writing: tokens that start a word carry a space
// mark, the others are bare.
func (b *ggmlBuilder) bert() (*Tokenizer, error) {
	b.addBOS = true
	b.roles(specials{bos: 101, eos: -1, eot: -1, eom: -1, pad: 0, unk: 100, sep: 102, cls: 101, mask: 103})
	m := &wordPiece{starts: newTrie(), continues: newTrie(), unk: b.special.unk, maxRunes: 100}
	if m.unk < 0 {
		return nil, fmt.Errorf("the model's metadata lacks %q", keyUNK)
	}
	for i, text := range b.vocab.text {
		if !b.vocab.kind[i].inModel() {
			continue
		}
		if rest, ok := strings.CutPrefix(text, spaceMark); ok {
			m.starts.add(rest, int32(i))
		} else {
			m.continues.add(text, int32(i))
		}
	}
	b.model = m
	lower := b.meta.Bool("tokenizer.ggml.normalizer.lowercase", true)
	k := bertRules{clean: true, chinese: true, lower: lower, accents: b.meta.Bool("tokenizer.ggml.normalizer.strip_accents", lower)}
	b.normalize = k.normalize
	b.stages = []stage{
		{cut: runOf{has: ofClass(space), n: unlimited}.cut(), how: removed},
		{cut: runOf{has: isPunctuation, n: 1}.cut()},
	}
	b.addControls()
	if b.meta.Bool(keyAddSEP, true) && b.special.sep >= 0 {
		b.suffix = []int32{b.special.sep}
		b.addEOS = false
	}
	b.lead = leadOne
	return b.build(b.bertPiece())
}

// bertPiece spells WordPiece tokens as Hugging Face does, with English punctuation
// closed up.
func (b *ggmlBuilder) bertPiece() func(id int32) string {
	v := b.vocab
	return func(id int32) string {
		text := v.text[id]
		if k := v.kind[id]; k == control || k == userDefined || k == unknown {
			return text
		}
		return tidy.Replace(strings.ReplaceAll(text, spaceMark, " "))
	}
}

// bytesIn returns an array of int8 or uint8, or nil.
func bytesIn(meta *quant.Meta, key string) []byte {
	switch v := meta.Get(key).(type) {
	case []uint8:
		return v
	case []int8:
		out := make([]byte, len(v))
		for i, b := range v {
			out[i] = byte(b)
		}
		return out
	}
	return nil
}
