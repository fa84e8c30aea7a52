package tokenizer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestKeysDiffer: words of one alphabet of two letters are all told apart, whatever
// their lengths.
func TestKeysDiffer(t *testing.T) {
	seen := map[wordKey]string{}
	for n := 1; n <= shortWordBytes; n++ {
		for w := range 1 << n {
			word := make([]byte, n)
			for i := range word {
				word[i] = "\x00a"[w>>i&1]
			}
			k := keyOf(string(word))
			if other, twice := seen[k]; twice || k.n == 0 {
				t.Fatalf("%q has the key %v of %q", word, k, other)
			}
			seen[k] = string(word)
		}
	}
	if k := keyOf("seventeen letters"); k.n != 0 {
		t.Errorf("a word of 17 bytes has the key %v", k)
	}
}

// TestRecentWords: a word gives the ids that its merges give, first and again, after
// whatever words took its place in the cache in between.
func TestRecentWords(t *testing.T) {
	for name, tok := range everyTokenizer(t) {
		m, ok := tok.model.(*bpe)
		if !ok {
			continue
		}
		rng := rand.New(rand.NewPCG(1, 2))
		words := []string{"", "☃", "☃a", "☃☃", "\xff", "\xffa", "a☃", " the", "▁the", "unbelievably", "sixteen bytes ab", "seventeen bytes a"}
		for range 3 << recentBits {
			word := make([]byte, 1+rng.IntN(20))
			for i := range word {
				word[i] = " etaoinshr"[rng.IntN(10)]
			}
			words = append(words, string(word))
		}
		var sc, fresh scratch
		for range 2 {
			for i, word := range words {
				before := []int32{m.unk, 7}[:i%3%2+1]
				want := m.whole.get(word, keyOf(word))
				expected := append(slices.Clone(before), want)
				if want < 0 {
					expected = m.merge(slices.Clone(before), word, &fresh.sym)
				}
				if got := m.encode(slices.Clone(before), word, &sc); !slices.Equal(got, expected) {
					t.Fatalf("%s: %q after %d gives %d, want %d", name, word, before, got, expected)
				}
			}
		}
	}
}
