// Package tokenizer turns text into token ids and back.
//
// A Tokenizer is read from GGUF metadata (New), a Hugging Face tokenizer.json
// (FromHF), a tiktoken file (FromTiktoken), a SentencePiece model (FromSentencePiece)
// or a path to any of these (Open). All of them become one pipeline:
//
//	text -> added tokens cut out -> normalizer -> stages of splitting -> model -> ids
//
// where the model is byte-pair encoding (also SentencePiece's, whose scores become
// ranks), unigram or WordPiece. Known splitting patterns are hand-written and linear
// in the text; package regex runs the others under a budget. Ids become text through
// a table of bytes per token, a token at a time (Stream).
package tokenizer

import (
	"slices"
	"strings"
	"sync"
)

// Tokenizer encodes and decodes with one vocabulary. It is immutable and safe for
// concurrent use.
type Tokenizer struct {
	vocab          *vocab
	model          model
	added          addedSet // looked for in the text
	addedAfter     addedSet // looked for in normalized text
	normalize      normalizer
	stages         []stage
	prefix, suffix []int32 // what AddSpecial puts around a text
	lead           leadRule
	special        specials
	eogs           []int32
	pool           *sync.Pool // of *scratch
}

// model encodes one piece that the stages left. sc is the caller's working memory.
type model interface {
	encode(dst []int32, piece string, sc *scratch) []int32
}

// scratch is the working memory of one call.
type scratch struct {
	sym     symbols
	lat     lattice
	recent  recentWords
	matches []match
}

// keepScratch is the number of units beyond which working memory is not kept for the
// next call: some 2 MB.
const keepScratch = 1 << 16

func newPool() *sync.Pool { return &sync.Pool{New: func() any { return new(scratch) }} }

func (t *Tokenizer) release(sc *scratch) {
	if cap(sc.sym.id) <= keepScratch && cap(sc.lat.sum) <= keepScratch {
		t.pool.Put(sc)
	}
}

// specials are the ids with a role, -1 where the vocabulary has none.
type specials struct{ bos, eos, eot, eom, pad, unk, sep, cls, mask int32 }

var noSpecials = specials{-1, -1, -1, -1, -1, -1, -1, -1, -1}

// EncodeOptions say how Encode reads a text.
type EncodeOptions struct {
	Special    bool // control tokens written in the text become their ids; else they are plain text
	AddSpecial bool // add BOS, EOS, CLS, SEP as the model wants them
}

// Encode appends the ids of text to dst and returns it. Invalid UTF-8 is allowed: its
// bytes are encoded as they are where the vocabulary can, else as U+FFFD or unknown.
func (t *Tokenizer) Encode(dst []int32, text string, opt EncodeOptions) []int32 {
	return t.encode(dst, text, trust{all: opt.Special}, opt.AddSpecial)
}

// Segment is a part of a text. Only Trusted text, such as a chat template's own, may
// yield control tokens.
type Segment struct {
	Text    string
	Trusted bool
}

// EncodeSegments appends the ids of the segments' texts joined together. Control
// tokens are read only where a whole one lies in trusted text (neighbouring trusted
// segments count as one); what is left between them is then split and encoded as if
// there were no borders between segments. So untrusted text never yields a control
// token, and text without control tokens encodes as the joined text does. Nothing is
// added around it.
func (t *Tokenizer) EncodeSegments(dst []int32, segs []Segment) []int32 {
	var b strings.Builder
	var tr trust
	for _, s := range segs {
		lo := b.Len()
		b.WriteString(s.Text)
		if !s.Trusted || s.Text == "" {
			continue
		}
		if n := len(tr.spans); n > 0 && tr.spans[n-1].hi == lo {
			tr.spans[n-1].hi = b.Len()
		} else {
			tr.spans = append(tr.spans, extent{lo, b.Len()})
		}
	}
	return t.encode(dst, b.String(), tr, false)
}

func (t *Tokenizer) encode(dst []int32, text string, tr trust, addSpecial bool) []int32 {
	sc := t.pool.Get().(*scratch)
	defer t.release(sc)
	if addSpecial {
		dst = append(dst, t.prefix...)
	}
	for i := 0; i < len(text); {
		tok, start, end := t.added.find(text, i, &tr)
		if start > i {
			dst = t.segment(dst, text[i:start], i == 0, sc)
		}
		if tok != nil {
			dst = append(dst, tok.id)
		}
		i = end
	}
	if addSpecial {
		dst = append(dst, t.suffix...)
	}
	return dst
}

// segment encodes text between added tokens; first tells that it starts the text.
func (t *Tokenizer) segment(dst []int32, s string, first bool, sc *scratch) []int32 {
	if t.normalize != nil {
		s = t.normalize(s)
	}
	for i := 0; i < len(s); {
		tok, start, end := t.addedAfter.find(s, i, &trust{})
		if start > i {
			dst = t.words(dst, s[i:start], t.stages, first && i == 0, sc)
		}
		if tok != nil {
			dst = append(dst, tok.id)
		}
		i = end
	}
	return dst
}

// Decode returns the text of ids. With skipSpecial control tokens and the unknown
// token give nothing. Bytes that are no UTF-8 become U+FFFD, one for each maximal
// part of a rune; ids out of range are left out.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.Stream(skipSpecial)
	buf := make([]byte, 0, 8*len(ids))
	for _, id := range ids {
		buf = s.Append(buf, id)
	}
	return string(s.Flush(buf))
}

// Vocab returns the number of ids; valid ids are below it.
func (t *Tokenizer) Vocab() int { return t.vocab.len() }

func (t *Tokenizer) valid(id int32) bool { return id >= 0 && int(id) < t.vocab.len() }

// Piece returns the bytes that a token adds to a text, nil for an id out of range.
// Callers must not change them.
func (t *Tokenizer) Piece(id int32) []byte {
	if !t.valid(id) {
		return nil
	}
	return t.vocab.piece(id)
}

// TokenText returns a token as the vocabulary writes it ("Ġthe", "▁the", "<0x0A>"),
// or "" for an id out of range.
func (t *Tokenizer) TokenText(id int32) string {
	if !t.valid(id) {
		return ""
	}
	return t.vocab.text[id]
}

// IsControl reports whether id is a control token, which text from users never yields.
func (t *Tokenizer) IsControl(id int32) bool { return t.valid(id) && t.vocab.kind[id] == control }

// IsByte reports whether id is a byte token such as <0x0A>.
func (t *Tokenizer) IsByte(id int32) bool { return t.valid(id) && t.vocab.kind[id] == byteToken }

// hidden reports whether skipSpecial leaves the token out.
func (t *Tokenizer) hidden(id int32) bool {
	return t.vocab.kind[id] == control || t.vocab.kind[id] == unknown && id == t.special.unk
}

// ID returns the id of the token that the vocabulary writes as text.
func (t *Tokenizer) ID(text string) (int32, bool) {
	id, ok := t.vocab.ids[text]
	return id, ok
}

// BOS returns the id that begins a sequence, or -1.
func (t *Tokenizer) BOS() int32 { return t.special.bos }

// EOS returns the id that ends a sequence, or -1.
func (t *Tokenizer) EOS() int32 { return t.special.eos }

// EOT returns the id that ends a turn of a chat, or -1.
func (t *Tokenizer) EOT() int32 { return t.special.eot }

// PAD returns the id that fills up a batch, or -1.
func (t *Tokenizer) PAD() int32 { return t.special.pad }

// UNK returns the id of what the vocabulary cannot spell, or -1.
func (t *Tokenizer) UNK() int32 { return t.special.unk }

// EOGs returns the ids that end a generation, sorted: the metadata's, and those whose
// text says so. Callers must not change the slice.
func (t *Tokenizer) EOGs() []int32 { return t.eogs }

// AddsBOS reports whether AddSpecial puts BOS first, so that callers with a template
// that writes it too can avoid a second one.
func (t *Tokenizer) AddsBOS() bool {
	return len(t.prefix) > 0 && t.special.bos >= 0 && slices.Contains(t.prefix, t.special.bos)
}
