package tokenizer

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/tokenizer/regex"
)

// pieces cuts s at every match and gap.
func pieces(s string, c cut) (out []string) {
	for i := 0; i < len(s); {
		lo, hi := c(s, i)
		if lo > i {
			out = append(out, s[i:lo])
		}
		if hi > lo {
			out = append(out, s[lo:hi])
		}
		i = hi
	}
	return out
}

// alphabet holds runes of every class that the patterns tell apart, those with odd
// case foldings, and the ends of ranges.
var alphabet = []rune("  \t\n\r\u00a0\u0085\u3000abzABZ'sStTreREveVEllLLmdMDſK0159٣Ⅷ½.,!?/-_$+<=>^~|`()[]{}\\\"" +
	"éÉßǅʰªºаЖңक्षिあア漢字龥一가힣ퟻ\u0301\u0903\u20DD🦙😶\u200d\ufe0f€©®µ\u0000\u0007\u200b\ufeff、。「」،…！？１２\U0001F1E6𐐀ꟲᏐ")

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(14) {
		c := alphabet[r.IntN(len(alphabet))]
		for range 1 + r.IntN(3)*r.IntN(3) {
			b.WriteRune(c)
		}
		if r.IntN(40) == 0 {
			b.WriteByte(byte(0x80 + r.IntN(128))) // invalid UTF-8
		}
	}
	return b.String()
}

// TestCutsEqualRegex holds every hand-written splitter to its expression.
func TestCutsEqualRegex(t *testing.T) {
	perText := maps.Clone(textCuts)
	for pattern, c := range cuts {
		perText[pattern] = func(string) cut { return c }
	}
	for pattern, c := range perText {
		re, err := regex.Compile(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range 6000 {
			s := randomText(r)
			want := pieces(s, budgeted(re)(s))
			if got := pieces(s, c(s)); !slices.Equal(got, want) {
				t.Errorf("%s\nsplits %q into\n     %q\nwant %q", pattern, s, got, want)
				break
			}
		}
	}
}

// TestPresCompile checks that every named pre-tokenizer works and loses no text.
func TestPresCompile(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, p := range pres {
		for _, pattern := range p.patterns {
			st, err := patternStage(pattern)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for range 200 {
				s := randomText(r)
				c := st.cut
				if c == nil {
					c = st.perText(s)
				}
				if got := strings.Join(pieces(s, c), ""); got != s {
					t.Errorf("%s splits %q into pieces of %q", name, s, got)
				}
			}
		}
	}
}

func FuzzCuts(f *testing.F) {
	type twin struct {
		cut cut
		re  *regex.Regex
	}
	var twins []twin
	for pattern, c := range cuts {
		re, err := regex.Compile(pattern)
		if err != nil {
			f.Fatal(err)
		}
		twins = append(twins, twin{c, re})
	}
	for _, s := range []string{"", "I'll go, don't you?\n\n  Yes.", " \n \t\n x", "HTTPServer's 12345", "日本語 テキスト", "\xff a\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, tw := range twins {
			want := pieces(s, budgeted(tw.re)(s))
			if got := pieces(s, tw.cut); !slices.Equal(got, want) {
				t.Errorf("%s\nsplits %q into\n     %q\nwant %q", tw.re, s, got, want)
			}
		}
	})
}
