package tokenizer

import (
	"fmt"
	"strings"
)

// decoder returns what each token adds to a text, and sets the rule for the start.
// Hugging Face's decoders work on lists of tokens; all that are known here come to a
// text per token, but for the very first. Added tokens of a byte-level vocabulary
// stand for themselves, though Hugging Face would read them as bytes too.
func (b *hfBuilder) decoder() (func(id int32) string, error) {
	steps, err := b.decodeSteps(b.file.Decoder)
	if err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if b.file.Decoder == nil {
		steps = b.defaultDecoding()
	}
	v, normalized := b.vocab, map[int32]string{}
	for _, tok := range b.addedAfter.list {
		normalized[tok.id] = tok.text
	}
	return func(id int32) string {
		text := v.text[id]
		if t, ok := normalized[id]; ok {
			text = t
		}
		if k := v.kind[id]; b.byteLevel && (k == control || k == userDefined) {
			return text
		}
		for _, step := range steps {
			text = step(text)
		}
		return text
	}, nil
}

// defaultDecoding is what a file without a decoder means: tokens joined by spaces,
// unless bytes tell better.
func (b *hfBuilder) defaultDecoding() []func(string) string {
	if b.byteLevel {
		return []func(string) string{unbyte}
	}
	b.lead = leadOne
	return []func(string) string{func(s string) string { return " " + s }}
}

func unbyte(s string) string {
	if raw, ok := bytesOfRunes(s); ok {
		return raw
	}
	return s
}

func (b *hfBuilder) decodeSteps(p *hfPart) ([]func(string) string, error) {
	if p == nil {
		return nil, nil
	}
	one := func(f func(string) string) ([]func(string) string, error) { return []func(string) string{f}, nil }
	switch p.Type {
	case "Sequence":
		var all []func(string) string
		for i := range p.Decoders {
			steps, err := b.decodeSteps(&p.Decoders[i])
			if err != nil {
				return nil, err
			}
			all = append(all, steps...)
		}
		return all, nil
	case "ByteLevel":
		return one(unbyte)
	case "ByteFallback":
		return one(func(s string) string {
			if c, ok := byteOf(s); ok {
				return string([]byte{c})
			}
			return s
		})
	case "Fuse":
		return nil, nil
	case "Replace":
		return p.decodeReplace()
	case "Strip":
		if p.Content != " " || p.Start != 1 || p.Stop != 0 {
			return nil, fmt.Errorf("the type Strip of %q, %d and %d is not supported", p.Content, p.Start, p.Stop)
		}
		b.lead = leadOne
		return nil, nil
	case "Metaspace":
		if p.scheme() != "never" {
			b.lead = leadPiece
		}
		mark := p.Replacement
		return one(func(s string) string { return strings.ReplaceAll(s, mark, " ") })
	case "WordPiece":
		b.lead = leadOne
		return one(p.wordPieceText)
	case "BPEDecoder":
		return one(func(s string) string { return strings.ReplaceAll(s, p.Suffix, " ") })
	}
	return nil, fmt.Errorf("type %q is not supported", p.Type)
}

func (p *hfPart) decodeReplace() ([]func(string) string, error) {
	text, isRegex, err := p.pattern()
	if err != nil {
		return nil, err
	}
	if isRegex {
		return nil, fmt.Errorf("the type Replace of the regular expression %q is not supported", text)
	}
	return []func(string) string{func(s string) string { return strings.ReplaceAll(s, text, p.Content) }}, nil
}

// tidy undoes the spaces that splitting at punctuation put into English.
var tidy = strings.NewReplacer(" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m",
	" do not", " don't", " 's", "'s", " 've", "'ve", " 're", "'re")

func (p *hfPart) wordPieceText(s string) string {
	if rest, ok := strings.CutPrefix(s, p.Prefix); ok && p.Prefix != "" {
		s = rest
	} else {
		s = " " + s
	}
	if orTrue(p.Cleanup) {
		s = tidy.Replace(s)
	}
	return s
}
