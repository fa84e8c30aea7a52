package bpe

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
)

// listed yields texts without errors.
func listed(list ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, s := range list {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// counted counts texts in words of GPT-2.
func counted(t *testing.T, special []string, list ...string) Words {
	t.Helper()
	split, err := NewSplit("gpt-2", special)
	if err != nil {
		t.Fatal(err)
	}
	words, err := Count(t.Context(), listed(list...), split, 2)
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func TestCountKeepsSpecialTokensOut(t *testing.T) {
	got := counted(t, []string{"<|end|>"}, "one<|end|>one<|end|>")
	if want := (Words{"one": 2}); !maps.Equal(got, want) {
		t.Errorf("words %v, want %v", got, want)
	}
}

func TestCountCutsLongWords(t *testing.T) {
	got := counted(t, nil, strings.Repeat("a", 2*maxWordBytes+5))
	if want := (Words{strings.Repeat("a", maxWordBytes): 2, "aaaaa": 1}); !maps.Equal(got, want) {
		t.Errorf("%d words, of which aaaaa occurs %d times", len(got), got["aaaaa"])
	}
}

func TestErrorsEndTheWork(t *testing.T) {
	split, err := NewSplit("gpt-2", nil)
	if err != nil {
		t.Fatal(err)
	}
	bad := errors.New("line 3 is bad")
	_, err = Count(t.Context(), func(yield func(string, error) bool) { _ = yield("a b", nil) && yield("", bad) }, split, 2)
	if err != bad {
		t.Errorf("error %v, want %v", err, bad)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Count(ctx, listed("a"), split, 2); err != context.Canceled {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if _, err := Train(ctx, Words{"ab": 2}, Options{VocabSize: 300}); err != context.Canceled {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// TestForbiddenTokens: neither a special token's text nor a name that ends generations
// comes out of merges, though words hold them; what surrounds them still merges.
func TestForbiddenTokens(t *testing.T) {
	words := Words{"<tag>": 50, "</s>": 40, "<EOT>": 30, "tags": 5}
	m, err := Train(t.Context(), words, Options{VocabSize: 1000, Special: []string{"<tag>"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"<tag>", "</s>", "<EOT>"} {
		if slices.Contains(m.Tokens[m.Special:], text) {
			t.Errorf("%q is a product of merges", text)
		}
	}
	if !slices.Contains(m.Tokens, "tags") {
		t.Errorf("tokens %q lack \"tags\"", m.Tokens[m.Special+256:])
	}
}

// TestTokensAreBounded: a row of one letter would double its token at each merge.
func TestTokensAreBounded(t *testing.T) {
	m, err := Train(t.Context(), Words{strings.Repeat("a", maxWordBytes): 5}, Options{VocabSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	longest := 0
	for _, text := range m.Tokens {
		longest = max(longest, len(text))
	}
	if longest != maxTokenBytes {
		t.Errorf("the longest token has %d bytes, want %d", longest, maxTokenBytes)
	}
}
