package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// Splitter cuts texts into the words inside which a byte-level BPE merges. It is what a
// vocabulary is trained with. It is immutable and safe for concurrent use.
type Splitter struct{ t Tokenizer }

// preAliases are ways to write a pre-tokenizer's name that GGUF does not know.
var preAliases = map[string]string{"gpt2": "gpt-2"}

// PreTokenizers lists the pre-tokenizers that NewSplitter knows, sorted.
func PreTokenizers() []string {
	return slices.DeleteFunc(knownPres(), func(name string) bool { return pres[name].marks })
}

// NewSplitter returns the splitter of a pre-tokenizer that GGUF knows by name
// (tokenizer.ggml.pre). The special texts, which will be tokens of their own, are no part
// of any word.
func NewSplitter(pre string, special []string) (*Splitter, error) {
	p, ok := pres[CanonicalPre(pre)]
	if !ok || p.marks {
		return nil, fmt.Errorf("there is no pre-tokenizer %q for byte-level BPE: want one of %s", pre, strings.Join(PreTokenizers(), ", "))
	}
	s := &Splitter{Tokenizer{pool: newPool()}}
	for _, pattern := range p.patterns {
		st, err := patternStage(pattern)
		if err != nil {
			return nil, err
		}
		s.t.stages = append(s.t.stages, st)
	}
	for _, text := range special {
		s.t.added.add(addedToken{text: text})
	}
	return s, nil
}

// CanonicalPre returns GGUF's name of a pre-tokenizer.
func CanonicalPre(name string) string {
	if known, ok := preAliases[name]; ok {
		return known
	}
	return name
}

// Split calls word for each word of text, in order. Words are parts of text.
func (s *Splitter) Split(text string, word func(string)) {
	t := s.t
	t.model = eachWord(word)
	t.encode(nil, text, trust{}, false)
}

// eachWord is a model that hands words on instead of encoding them.
type eachWord func(string)

func (f eachWord) encode(dst []int32, word string, _ *scratch) []int32 {
	f(word)
	return dst
}
