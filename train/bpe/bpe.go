// Package bpe trains the vocabulary of a byte-level byte-pair encoding.
//
//	texts -> Count -> how often each word occurs -> Train -> Model -> Meta -> files
//
// Words are what a pre-tokenizer leaves (tokenizer.Splitter). Each starts as a row of
// bytes. The pair of neighbours that is most frequent over all words becomes a token
// and its occurrences merge, from left to right; then the next, until the vocabulary is
// full or no pair is frequent enough (Sennrich, Haddow and Birch 2016, "Neural machine
// translation of rare words with subword units", algorithm 1).
//
// The result is a function of the words' counts alone, so neither threads nor the order
// of texts or files change it:
//
//   - Among equally frequent pairs the one with the lower left id merges first, among
//     those the one with the lower right id. Hugging Face's trainer has the same rule.
//   - A token is its text: two pairs that join to one text share an id, and their
//     occurrences count together.
//   - A pair keeps the rank of its first merge.
//   - No pair becomes a token that text must not give: a special token's text, a name
//     that ends generations in known models (tokenizer.Reserved), or one beyond
//     maxTokenBytes.
//
// Ids are: special tokens in the order given, then the 256 bytes in the order of their
// GPT-2 writing, then products of merges by rank.
package bpe

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// maxTokenBytes bounds a token. Its GPT-2 writing takes up to twice as many bytes, and
// package tokenizer reads no token beyond 4,096.
const maxTokenBytes = 2048

// Options say what vocabulary to train.
type Options struct {
	VocabSize    int                   // tokens at most: special ones, 256 bytes, products of merges
	MinFrequency int64                 // a pair that occurs less often does not merge; below 1 counts as 1
	Special      []string              // texts of the special tokens
	Progress     func(done, total int) // tokens made so far; may be nil
}

// Model is a trained vocabulary. Callers must not change it.
type Model struct {
	Special int      // ids below are special tokens
	Tokens  []string // by id: special texts as they are, others as raw bytes
	Merges  []Merge  // by rank
	Bytes   int64    // of the words that it was trained on, as often as they occur
	Output  int64    // tokens that they became
}

// Merge is a rule: two neighbouring tokens become one.
type Merge struct {
	Left, Right, Product int32
	Count                int64 // occurrences when the rule was made
}

// Train makes a vocabulary for words that occur so often. It stops early with ctx's
// error.
func Train(ctx context.Context, words Words, opt Options) (*Model, error) {
	m, err := newMerger(words, opt)
	if err != nil {
		return nil, err
	}
	for made := 0; len(m.tokens) < opt.VocabSize; made++ {
		if made%256 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if opt.Progress != nil {
				opt.Progress(len(m.tokens), opt.VocabSize)
			}
		}
		if !m.step() {
			break
		}
	}
	return m.model(), nil
}

// Check reports what is wrong with the options, if anything. Train checks them too; to ask
// before the words are counted saves the time.
func (o *Options) Check() error {
	if least := len(o.Special) + 256; o.VocabSize < least {
		return fmt.Errorf("a vocabulary of %d tokens is too small: %d special tokens and 256 bytes take %d", o.VocabSize, len(o.Special), least)
	}
	seen := map[string]bool{}
	for _, text := range o.Special {
		switch {
		case text == "":
			return fmt.Errorf("a special token has no text")
		case len([]rune(text)) == 1:
			return fmt.Errorf("special token %q is a single character: give it a longer text, such as <|name|>", text)
		case seen[text]:
			return fmt.Errorf("special token %q is given twice", text)
		}
		seen[text] = true
	}
	return nil
}

// alphabet returns the special tokens and the bytes: the tokens that no merge makes.
func (o *Options) alphabet() []string {
	tokens := slices.Clone(o.Special)
	for b := range 256 {
		tokens = append(tokens, string([]byte{byte(b)}))
	}
	slices.SortFunc(tokens[len(o.Special):], func(a, b string) int {
		return cmp.Compare(tokenizer.ByteLevelText(a), tokenizer.ByteLevelText(b))
	})
	return tokens
}
