package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/engine/tokenizer/regex"
	"github.com/ingot-llm/ingot/engine/tokenizer/unorm"
)

func (b *hfBuilder) readNormalizer() error {
	if b.file.Normalizer == nil {
		return nil
	}
	ns, err := b.normalizers(b.file.Normalizer)
	if err != nil {
		return fmt.Errorf("normalizer: %w", err)
	}
	b.normalize = inOrder(ns)
	return nil
}

func (b *hfBuilder) normalizers(p *hfPart) ([]normalizer, error) {
	switch p.Type {
	case "Sequence":
		var all []normalizer
		for i := range p.Normalizers {
			ns, err := b.normalizers(&p.Normalizers[i])
			if err != nil {
				return nil, err
			}
			all = append(all, ns...)
		}
		return all, nil
	case "NFC":
		return []normalizer{unorm.NFC.String}, nil
	case "NFD":
		return []normalizer{unorm.NFD.String}, nil
	case "NFKC":
		return []normalizer{unorm.NFKC.String}, nil
	case "NFKD":
		return []normalizer{unorm.NFKD.String}, nil
	case "Lowercase":
		return []normalizer{lowercase}, nil
	case "StripAccents":
		return []normalizer{without(unicode.M)}, nil
	case "Strip":
		return []normalizer{strip(p.StripLeft, p.StripRight)}, nil
	case "Nmt":
		return []normalizer{nmt}, nil
	case "Prepend":
		return []normalizer{prepend(p.Prepend)}, nil
	case "Replace":
		return p.replace()
	case "BertNormalizer":
		k := bertRules{clean: orTrue(p.CleanText), chinese: orTrue(p.Chinese), lower: orTrue(p.Lowercase)}
		k.accents = isTrue(p.StripAccents) || p.StripAccents == nil && k.lower
		return []normalizer{k.normalize}, nil
	case "Precompiled":
		m, err := decodeCharsmap(p.Charsmap)
		if m == nil || err != nil {
			return nil, err
		}
		return []normalizer{m.normalize}, nil
	case "ByteLevel":
		b.byteLevel = true
		return nil, nil
	}
	return nil, fmt.Errorf("type %q is not supported", p.Type)
}

// pattern reads {"String": text} or {"Regex": expression}; an old file has the bare
// text.
func (p *hfPart) pattern() (text string, isRegex bool, err error) {
	var o struct{ String, Regex *string }
	if json.Unmarshal(p.Pattern, &text) == nil {
		return text, false, nil
	}
	if err := json.Unmarshal(p.Pattern, &o); err != nil {
		return "", false, fmt.Errorf("pattern: %w", err)
	}
	switch {
	case o.Regex != nil:
		return *o.Regex, true, nil
	case o.String != nil:
		return *o.String, false, nil
	}
	return "", false, fmt.Errorf("pattern %s is neither a String nor a Regex", p.Pattern)
}

func (p *hfPart) replace() ([]normalizer, error) {
	text, isRegex, err := p.pattern()
	if err != nil {
		return nil, err
	}
	if !isRegex {
		return []normalizer{replaceAll(text, p.Content)}, nil
	}
	re, err := regex.Compile(text)
	if err != nil {
		return nil, err
	}
	return []normalizer{replaceRegex(re, p.Content)}, nil
}

func (b *hfBuilder) readPreTokenizer() error {
	if b.file.PreTokenizer == nil {
		return nil
	}
	if err := b.preTokenizer(b.file.PreTokenizer); err != nil {
		return fmt.Errorf("pre_tokenizer: %w", err)
	}
	return nil
}

func (b *hfBuilder) preTokenizer(p *hfPart) error {
	add := func(s stage) error {
		b.stages = append(b.stages, s)
		return nil
	}
	white := runOf{has: ofClass(space), n: unlimited}.cut()
	switch p.Type {
	case "Sequence":
		for i := range p.Pretokenizers {
			if err := b.preTokenizer(&p.Pretokenizers[i]); err != nil {
				return err
			}
		}
		return nil
	case "ByteLevel":
		b.byteLevel = true
		if orTrue(p.AddPrefixSpace) {
			add(stage{rewrite: spaceFirst})
		}
		if orTrue(p.UseRegex) {
			add(stage{cut: gpt2Words})
		}
		return nil
	case "Metaspace":
		return add(p.metaspace())
	case "WhitespaceSplit":
		return add(stage{cut: white, how: removed})
	case "Whitespace": // \w+|[^\w\s]+
		return add(stage{cut: whitespaceWords, how: removed, invert: true})
	case "BertPreTokenizer":
		add(stage{cut: white, how: removed})
		return add(stage{cut: runOf{has: isPunctuation, n: 1}.cut()})
	case "Punctuation":
		how, err := p.behavior(isolated)
		if err != nil {
			return err
		}
		return add(stage{cut: runOf{has: isPunctuation, n: 1}.cut(), how: how})
	case "Digits":
		how := contiguous
		if p.Individual {
			how = isolated
		}
		return add(stage{cut: runOf{has: ofClass(number), n: 1}.cut(), how: how})
	case "CharDelimiterSplit":
		return add(stage{cut: literal(p.Delimiter), how: removed})
	case "Split":
		return b.splitStage(p)
	}
	return fmt.Errorf("type %q is not supported", p.Type)
}

func (b *hfBuilder) splitStage(p *hfPart) error {
	text, isRegex, err := p.pattern()
	if err != nil {
		return err
	}
	st := stage{cut: literal(text)}
	if isRegex {
		if st, err = patternStage(text); err != nil {
			return err
		}
	}
	st.invert = p.Invert
	st.how, err = p.behavior(isolated)
	b.stages = append(b.stages, st)
	return err
}

func (p *hfPart) behavior(def behavior) (behavior, error) {
	switch p.Behavior {
	case "":
		return def, nil
	case "Isolated":
		return isolated, nil
	case "Removed":
		return removed, nil
	case "MergedWithPrevious":
		return withPrevious, nil
	case "MergedWithNext":
		return withNext, nil
	case "Contiguous":
		return contiguous, nil
	}
	return def, fmt.Errorf("behavior %q is not supported", p.Behavior)
}

func spaceFirst(s string, _ bool) string {
	if strings.HasPrefix(s, " ") {
		return s
	}
	return " " + s
}

// scheme is when a Metaspace puts its mark before a text: always, first or never.
func (p *hfPart) scheme() string {
	switch {
	case p.PrependScheme != "" && !(p.AddPrefixSpace != nil && !*p.AddPrefixSpace):
		return p.PrependScheme
	case orTrue(p.AddPrefixSpace):
		return "always"
	}
	return "never"
}

func (p *hfPart) metaspace() stage {
	mark, scheme := p.Replacement, p.scheme()
	st := stage{how: withNext, rewrite: func(s string, first bool) string {
		s = strings.ReplaceAll(s, " ", mark)
		if !strings.HasPrefix(s, mark) && (scheme == "always" || scheme == "first" && first) {
			s = mark + s
		}
		return s
	}}
	if orTrue(p.Split) {
		st.cut = literal(mark)
	}
	return st
}

// whitespaceWords is the pattern \w+|[^\w\s]+.
func whitespaceWords(s string, i int) (int, int) {
	t := classes()
	for i < len(s) {
		r, c, w := t.at(s, i)
		if c&space != 0 {
			i += w
			continue
		}
		word := isWord(r, c)
		end := i + w
		for end < len(s) {
			r, c, w := t.at(s, end)
			if c&space != 0 || isWord(r, c) != word {
				break
			}
			end += w
		}
		return i, end
	}
	return len(s), len(s)
}

func isWord(r rune, c class) bool { return c&(letter|mark) != 0 || wordRune(r) }

// isPunctuation is BERT's: all of Unicode's and the ASCII symbols.
func isPunctuation(r rune, c class) bool {
	return c&punct != 0 || r < utf8.RuneSelf && c&symbol != 0
}
