package tokenizer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/quant"
)

// GGML converts a Hugging Face tokenizer to GGUF metadata, as llama.cpp's converter
// writes it: model, pre-tokenizer, tokens, types, merges or scores, special ids and
// flags. Where these keys cannot say all of it (an unknown splitting pattern, a
// normalizer that they have no key for) the whole tokenizer.json goes along under
// tokenizer.huggingface.json, which New prefers; other programs then get the nearest
// that the keys can say.
func GGML(files HF) (*quant.Meta, error) {
	b, err := newHFBuilder(files)
	if err == nil {
		err = b.config(files)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot convert tokenizer.json: %w", err)
	}
	e := exporter{hfBuilder: b, meta: &quant.Meta{}, exact: true}
	e.roles()
	switch {
	case b.file.Model.Type == "Unigram":
		err = e.t5()
	case b.file.Model.Type == "WordPiece":
		e.bert()
	case b.byteLevel:
		e.gpt2()
	default:
		e.llama()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot convert tokenizer.json: %w", err)
	}
	e.common()
	if !e.exact {
		e.meta.Set(keyHF, string(files.Tokenizer))
	}
	return e.meta, nil
}

// exporter writes the metadata. The builder's model is not made; the vocabulary is.
type exporter struct {
	*hfBuilder
	meta  *quant.Meta
	exact bool // the keys say all that tokenizer.json does
}

// roles completes what is put around a text and checks that two flags can say it.
func (e *exporter) roles() {
	if e.addBOS {
		e.prefix = append(e.prefix, e.special.bos)
	}
	if e.addEOS {
		e.suffix = append(e.suffix, e.special.eos)
	}
	if len(e.prefix) > 1 || len(e.suffix) > 1 {
		e.exact = false
	}
	if len(e.prefix) == 1 && e.special.bos < 0 {
		e.special.bos = e.prefix[0]
	}
}

// common sets the special ids, the flags and the ids that end a generation.
func (e *exporter) common() {
	m, s := e.meta, e.special
	for _, r := range []struct {
		key string
		id  int32
	}{
		{keyBOS, s.bos}, {keyEOS, s.eos}, {keyUNK, s.unk}, {keySEP, s.sep}, {keyPAD, s.pad}, {keyCLS, s.cls}, {keyMask, s.mask},
	} {
		if r.id >= 0 {
			m.Set(r.key, uint32(r.id))
		}
	}
	first, last := slices.Contains(e.prefix, s.bos), slices.Contains(e.suffix, s.eos)
	m.Set(keyAddBOS, first)
	if len(e.suffix) == 1 && e.suffix[0] == s.sep && e.meta.String(keyModel, "") != "t5" {
		m.Set(keyAddSEP, true)
	} else {
		m.Set(keyAddEOS, last)
		e.exact = e.exact && last == (len(e.suffix) > 0)
	}
	e.exact = e.exact && first == (len(e.prefix) > 0)
	if len(e.endings) > 0 {
		ids := make([]int32, len(e.endings))
		for i, id := range e.endings {
			ids[i] = int32(id)
		}
		m.Set(keyEnds, ids)
	}
	for _, a := range e.file.AddedTokens {
		if a.LStrip || a.RStrip || a.SingleWord {
			e.exact = false
		}
	}
}

// vocabulary sets the tokens, in the writing that text gives them, and their types.
func (e *exporter) vocabulary(model, pre string, text func(id int) string) {
	tokens, types := make([]string, e.vocab.len()), make([]int32, e.vocab.len())
	for i := range tokens {
		tokens[i], types[i] = text(i), int32(e.vocab.kind[i])
	}
	e.meta.Set(keyModel, model)
	e.meta.Set(keyPre, pre)
	e.meta.Set(keyTokens, tokens)
	e.meta.Set(keyTypes, types)
}

func (e *exporter) gpt2() {
	name, ok := e.preName()
	unk := e.special.unk
	if unk >= 0 {
		e.vocab.kind[unk] = control
	}
	e.exact = e.exact && ok && e.file.Normalizer == nil && e.file.Model.Prefix == "" && e.file.Model.Suffix == "" && unk < 0
	e.vocabulary("gpt2", name, func(id int) string { return e.vocab.text[id] })
	lines := make([]string, len(e.merges))
	for i, p := range e.merges {
		lines[i] = p.left + " " + p.right
	}
	e.meta.Set(keyMerges, lines)
}

// preOrder are names to prefer where several mean the same.
var preOrder = []string{"gpt-2", "llama-bpe", "qwen2", "gpt-4o", "smollm", "tekken", "deepseek-v3", "deepseek-llm", "deepseek-coder",
	"falcon", "smaug-bpe", "qwen35"}

// preName finds the named pre-tokenizer that splits as the file's does.
func (e *exporter) preName() (name string, ok bool) {
	patterns, ok := e.file.PreTokenizer.patterns()
	if !ok {
		return "default", false
	}
	for _, name := range slices.Concat(preOrder, knownPres()) {
		p := pres[name]
		if !p.marks && p.ignoreMerges == e.file.Model.IgnoreMerges && slices.Equal(p.patterns, patterns) {
			return name, true
		}
	}
	return "default", false
}

// patterns returns the expressions whose matches a pre-tokenizer isolates, one after
// another; ok is false if it does anything else.
func (p *hfPart) patterns() (list []string, ok bool) {
	if p == nil {
		return nil, false
	}
	switch p.Type {
	case "Sequence":
		for i := range p.Pretokenizers {
			sub, ok := p.Pretokenizers[i].patterns()
			if !ok {
				return nil, false
			}
			list = append(list, sub...)
		}
		return list, true
	case "ByteLevel":
		if orTrue(p.UseRegex) {
			list = []string{gpt2Pattern}
		}
		return list, !orTrue(p.AddPrefixSpace)
	case "Digits":
		return []string{`\p{N}`}, p.Individual
	case "Split":
		text, isRegex, err := p.pattern()
		return []string{text}, isRegex && err == nil && p.Behavior == "Isolated" && !p.Invert
	}
	return nil, false
}

// llama writes a BPE over runes: scores fall in the order of merges, so that they
// merge as the list does.
func (e *exporter) llama() {
	e.vocabulary("llama", "default", func(id int) string { return e.vocab.text[id] })
	scores := make([]float32, e.vocab.len())
	made := map[int32]bool{}
	for rank, p := range e.merges {
		if id := e.vocab.id(p.left + p.right); id >= 0 && !made[id] {
			made[id] = true
			scores[id] = -float32(rank) - 1
		}
	}
	for i := range scores {
		if !made[int32(i)] && e.vocab.kind[i] == normal {
			scores[i] = -1e6
		}
	}
	e.meta.Set(keyScores, scores)
	prefix, ok := e.marksSpaces()
	e.meta.Set(keyAddSpace, prefix)
	e.exact = e.exact && ok && e.listIsScored(made)
}

// listIsScored reports whether scores can stand for the merge list: every way to make
// a token that both halves allow is in it.
func (e *exporter) listIsScored(made map[int32]bool) bool {
	listed := make(map[mergePair]bool, len(e.merges))
	order := int32(-1)
	for _, p := range e.merges {
		listed[p] = true
		id := e.vocab.id(p.left + p.right)
		if id != order && made[id] {
			order = id
			delete(made, id)
		} else if id != order {
			return false // a token's merges are not next to each other
		}
	}
	for i, text := range e.vocab.text {
		if !e.vocab.kind[i].inModel() {
			continue
		}
		for at := range text {
			l, r := e.vocab.id(text[:at]), e.vocab.id(text[at:])
			if at > 0 && l >= 0 && r >= 0 && e.vocab.kind[l].inModel() && e.vocab.kind[r].inModel() && !listed[mergePair{text[:at], text[at:]}] {
				return false
			}
		}
	}
	return true
}

// marksSpaces reports whether a space mark is put before the text, and whether spaces
// becoming marks is all that happens to it.
func (e *exporter) marksSpaces() (prefix, ok bool) {
	n, p := e.file.Normalizer, e.file.PreTokenizer
	if n == nil && p != nil && p.Type == "Metaspace" && p.Replacement == spaceMark {
		return p.scheme() != "never", p.scheme() == "always" && !orTrue(p.Split)
	}
	if n == nil || p != nil && !p.splitsAtSpaces() {
		return true, false
	}
	parts := n.Normalizers
	if n.Type != "Sequence" {
		parts = []hfPart{*n}
	}
	if len(parts) > 0 && parts[0].Type == "Prepend" && parts[0].Prepend == spaceMark {
		prefix, parts = true, parts[1:]
	}
	if len(parts) != 1 || parts[0].Type != "Replace" || parts[0].Content != spaceMark {
		return prefix, false
	}
	text, isRegex, err := parts[0].pattern()
	return prefix, err == nil && !isRegex && text == " "
}

// splitsAtSpaces holds for a splitting at plain spaces, of which the normalizer has
// left none (Gemma's).
func (p *hfPart) splitsAtSpaces() bool {
	text, isRegex, err := p.pattern()
	return p.Type == "Split" && err == nil && !isRegex && text == " "
}

func (e *exporter) t5() error {
	e.vocabulary("t5", "default", func(id int) string { return e.vocab.text[id] })
	scores := make([]float32, e.vocab.len())
	for i := range scores {
		scores[i] = float32(e.scores[i])
	}
	e.meta.Set(keyScores, scores)
	e.meta.Set(keyAddSpace, true)
	e.meta.Set(keySqueeze, true)
	e.exact = false // scores are narrowed and the order of normalizers varies
	for p := range e.file.Normalizer.each() {
		if p.Type != "Precompiled" {
			continue
		}
		data, err := decodeBase64(p.Charsmap)
		if err != nil {
			return err
		}
		e.meta.Set(keyCharsmap, data)
	}
	return nil
}

// each yields a normalizer and those inside it.
func (p *hfPart) each() func(yield func(*hfPart) bool) {
	return func(yield func(*hfPart) bool) {
		if p == nil || !yield(p) {
			return
		}
		for i := range p.Normalizers {
			if !yield(&p.Normalizers[i]) {
				return
			}
		}
	}
}

// bert writes WordPiece: a mark before tokens that start a word, none before others.
func (e *exporter) bert() {
	cont := e.file.Model.Prefix
	e.vocabulary("bert", "default", func(id int) string {
		text := e.vocab.text[id]
		if !e.vocab.kind[id].inModel() || e.vocab.kind[id] == userDefined || bracketed(text) {
			return text
		}
		if rest, ok := strings.CutPrefix(text, cont); ok && cont != "" {
			return rest
		}
		return spaceMark + text
	})
	n, p := e.file.Normalizer, e.file.PreTokenizer
	lower := n != nil && orTrue(n.Lowercase)
	e.meta.Set("tokenizer.ggml.normalizer.lowercase", lower)
	e.meta.Set("tokenizer.ggml.normalizer.strip_accents", n != nil && (isTrue(n.StripAccents) || n.StripAccents == nil && lower))
	plain := n != nil && n.Type == "BertNormalizer" && orTrue(n.CleanText) && orTrue(n.Chinese)
	limit := e.file.Model.MaxInputChars
	e.exact = e.exact && plain && p != nil && p.Type == "BertPreTokenizer" && (limit == nil || *limit == 100)
	if len(e.prefix) == 1 {
		e.special.bos = e.prefix[0]
	}
}

// bracketed holds for tokens such as [unused0], which llama.cpp's writing leaves alone.
func bracketed(text string) bool {
	return strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]")
}
