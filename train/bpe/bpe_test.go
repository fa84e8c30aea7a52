package bpe

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// twin is the textbook's training: before every merge all pairs are counted anew.
func twin(words Words, opt Options) (merges [][2]string, tokens []string) {
	tokens = opt.alphabet()
	id := map[string]int{}
	for i, text := range tokens {
		id[text] = i
	}
	split := map[string][]string{}
	for word := range words {
		split[word] = strings.Split(word, "")
		if !isASCII(word) {
			split[word] = bytesOf(word)
		}
	}
	ranked := map[[2]string]bool{}
	for len(tokens) < opt.VocabSize {
		best, count := mostFrequent(words, split, id)
		if count < max(1, opt.MinFrequency) {
			break
		}
		text := best[0] + best[1]
		if _, ok := id[text]; !ok {
			id[text] = len(tokens)
			tokens = append(tokens, text)
		}
		if !ranked[best] {
			ranked[best] = true
			merges = append(merges, best)
		}
		for word, parts := range split {
			split[word] = mergeIn(parts, best)
		}
	}
	return merges, tokens
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) }

func bytesOf(s string) (out []string) {
	for i := range len(s) {
		out = append(out, s[i:i+1])
	}
	return out
}

func mostFrequent(words Words, split map[string][]string, id map[string]int) (best [2]string, count int64) {
	counts := map[[2]string]int64{}
	for word, parts := range split {
		for i := 0; i+1 < len(parts); i++ {
			counts[[2]string{parts[i], parts[i+1]}] += words[word]
		}
	}
	for p, n := range counts {
		a, b := [2]int{id[p[0]], id[p[1]]}, [2]int{id[best[0]], id[best[1]]}
		if n > count || n == count && (a[0] < b[0] || a[0] == b[0] && a[1] < b[1]) {
			best, count = p, n
		}
	}
	return best, count
}

func mergeIn(parts []string, pair [2]string) (out []string) {
	for i := 0; i < len(parts); i++ {
		if i+1 < len(parts) && parts[i] == pair[0] && parts[i+1] == pair[1] {
			out = append(out, pair[0]+pair[1])
			i++
			continue
		}
		out = append(out, parts[i])
	}
	return out
}

// TestTwin compares merges and tokens with the textbook's on random words, also of few
// letters, whose pairs overlap and tie.
func TestTwin(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		letters := []string{"ab", "abc", "abcdefgh", "aéxß"}[round%4]
		words := Words{}
		for range 60 {
			var w strings.Builder
			runes := []rune(letters)
			for range 1 + random.IntN(9) {
				w.WriteRune(runes[random.IntN(len(runes))])
			}
			words[w.String()] = int64(1 + random.IntN(5))
		}
		opt := Options{VocabSize: 257 + 1 + random.IntN(60), Special: []string{"<|end|>"}, MinFrequency: int64(random.IntN(3))}
		m, err := Train(context.Background(), words, opt)
		if err != nil {
			t.Fatal(err)
		}
		merges, tokens := twin(words, opt)
		if !slices.Equal(m.Tokens, tokens) {
			t.Fatalf("round %d: tokens %q, want %q", round, m.Tokens[257:], tokens[257:])
		}
		for i, rule := range m.Merges {
			if got := [2]string{m.Tokens[rule.Left], m.Tokens[rule.Right]}; got != merges[i] {
				t.Fatalf("round %d: merge %d is %q, want %q", round, i, got, merges[i])
			}
		}
		if len(m.Merges) != len(merges) {
			t.Fatalf("round %d: %d merges, want %d", round, len(m.Merges), len(merges))
		}
	}
}

func texts(n int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		random := rand.New(rand.NewPCG(3, 4))
		for range n {
			if !yield(fmt.Sprintf("The %d foxes of «Ærø» ate %d naïve 🦢 geese.\n\tThen %d more!", random.IntN(50), random.IntN(2000), random.IntN(9)), nil) {
				return
			}
		}
	}
}

// TestTokenizer trains on texts with one thread and with four: the same words, and a
// tokenizer that gives every text back, that of the special tokens included.
func TestTokenizer(t *testing.T) {
	special := []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	for _, pre := range []string{"gpt2", "qwen2", "llama-bpe"} {
		split, err := NewSplit(pre, special)
		if err != nil {
			t.Fatal(err)
		}
		one, err := Count(context.Background(), texts(3000), split, 1)
		if err != nil {
			t.Fatal(err)
		}
		four, err := Count(context.Background(), texts(3000), split, 4)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(one) != fmt.Sprint(four) {
			t.Errorf("%s: four threads count other words", pre)
		}
		m, err := Train(context.Background(), one, Options{VocabSize: 500, Special: special})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.New(m.Meta(pre, Roles{EOS: special[0]}))
		if err != nil {
			t.Fatal(err)
		}
		for text := range texts(20) {
			ids := tok.Encode(nil, text, tokenizer.EncodeOptions{})
			if got := tok.Decode(ids, false); got != text || len(ids) > len(text)/2 {
				t.Errorf("%s: %q came back as %q from %d tokens", pre, text, got, len(ids))
			}
		}
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		var back []byte
		for _, id := range tok.Encode(nil, string(all), tokenizer.EncodeOptions{}) {
			back = append(back, tok.Piece(id)...)
		}
		if string(back) != string(all) {
			t.Errorf("%s: the bytes came back as %q", pre, back)
		}
		if ids := tok.Encode(nil, "<|im_start|>", tokenizer.EncodeOptions{Special: true}); !slices.Equal(ids, []int32{1}) || tok.EOS() != 0 {
			t.Errorf("%s: the special token is %v, EOS %d", pre, ids, tok.EOS())
		}
	}
}

func TestRefused(t *testing.T) {
	for _, opt := range []Options{{VocabSize: 256, Special: []string{"<|a|>"}}, {VocabSize: 300, Special: []string{"", "<|a|>"}}, {VocabSize: 300, Special: []string{"<|a|>", "<|a|>"}}, {VocabSize: 300, Special: []string{"x"}}} {
		if _, err := Train(context.Background(), Words{"ab": 1}, opt); err == nil {
			t.Errorf("%+v: accepted", opt)
		}
	}
	if _, err := NewSplit("none", nil); err == nil || !strings.Contains(err.Error(), "gpt-2") {
		t.Errorf("%v", err)
	}
}
