package engine

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// run pushes text cut at random and returns what was shown and which stop ended it.
func runStops(stops []string, text string, r *rand.Rand) (shown, stop string) {
	m := stopMatcher{stops: stops}
	var b strings.Builder
	for len(text) > 0 {
		n := 1 + r.IntN(len(text))
		show, s := m.push([]byte(text[:n]))
		b.Write(show)
		if s != "" {
			return b.String(), s
		}
		text = text[n:]
	}
	b.Write(m.flush())
	return b.String(), ""
}

func TestStopMatcher(t *testing.T) {
	check := func(stops []string, text, shown, stop string) {
		t.Helper()
		r := rand.New(rand.NewPCG(1, uint64(len(text))))
		for range 50 {
			gotShown, gotStop := runStops(stops, text, r)
			if gotShown != shown || gotStop != stop {
				t.Fatalf("stops %q in %q: shown %q by %q, want %q by %q", stops, text, gotShown, gotStop, shown, stop)
			}
		}
	}
	check(nil, "all of it", "all of it", "")
	check([]string{"END"}, "one END two", "one ", "END")
	check([]string{"END"}, "one EN", "one EN", "")
	check([]string{"aab"}, "aaab", "a", "aab")
	check([]string{"\n\n", "two"}, "one\ntwo\n\n", "one\n", "two")
	check([]string{"xyz", "yz"}, "wyz", "w", "yz")
}

// TestStopMatcherCuts: however the text is cut, a stop string made of few letters ends it
// at its first place in the whole.
func TestStopMatcherCuts(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	letters := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab"[r.IntN(2)]
		}
		return string(b)
	}
	for range 2000 {
		stop, text := letters(1+r.IntN(4)), letters(1+r.IntN(12))
		want, _, found := strings.Cut(text, stop)
		shown, got := runStops([]string{stop}, text, r)
		if shown != want || (got != "") != found {
			t.Fatalf("stop %q in %q: shown %q by %q, want %q", stop, text, shown, got, want)
		}
	}
}
