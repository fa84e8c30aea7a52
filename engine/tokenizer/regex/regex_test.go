package regex

import (
	"strings"
	"testing"
)

func all(re *Regex, s string) (out []string) {
	steps := Budget(len(s))
	for i := 0; i < len(s); {
		lo, hi := re.Next(s, i, &steps)
		if hi > lo {
			out = append(out, s[lo:hi])
		}
		i = hi
	}
	return out
}

func TestMatches(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{`a|ab`, "abab", "a|a"},
		{`(?:a|ab)(?!b)`, "abac", "ab|a"},
		{`a+?b`, "aaab", "aaab"},
		{`a++b`, "aaab", "aaab"},
		{`a++ab`, "aaab", ""},
		{`(?>a|ab)c`, "abc ac", "ac"},
		{`a{2}`, "aaaaa", "aa|aa"},
		{`a{2,}`, "aaaaa", "aaaaa"},
		{`a{1,2}`, "aaa", "aa|a"},
		{`(ab){1,2}`, "ababab", "abab|ab"},
		{`a{,2}`, "a{,2}", "a{,2}"},
		{`x{`, "x{", "x{"},
		{`[^a-c]+`, "abxyc", "xy"},
		{`[]a]+`, "a]b", "a]"},
		{`[a\-z]+`, "a-zb", "a-z"},
		{`[\p{L}&&[^\p{Lu}]]+`, "abCde", "ab|de"},
		{`\p{Han}+`, "漢字kana", "漢字"},
		{`\P{L}+`, "a1b", "1"},
		{`\p{^L}+`, "a1b", "1"},
		{`(?i:k)`, "kK\u212a", "k|K|\u212a"},
		{`(?i)ab`, "AB", "AB"},
		{`\bfoo\b`, "foo foob", "foo"},
		{`\s+$`, " a  ", "  "},
		{`^a`, "aa", "a"},
		{`\x41\u0042\x{43}`, "ABC", "ABC"},
		{`(?=a)\w+`, "ba ab", "a|ab"},
		{`.+`, "a\nb", "a|b"},
		{`a*`, "baa", "aa"},
		{`\d{1,3}(?=(?:\d{3})*\b)`, "1234567", "1|234|567"},
	} {
		re, err := Compile(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := strings.Join(all(re, c.text), "|"); got != c.want {
			t.Errorf("%s on %q: %q, want %q", c.pattern, c.text, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		`(?<=a)b`:                  "(?<=a is not supported",
		`(a)\1`:                    `\1 is not supported`,
		`\p{Nonsense}`:             `"Nonsense"`,
		`(a`:                       "not closed",
		`a)`:                       `unexpected ")"`,
		`[a`:                       "not closed",
		`[z-a]`:                    "out of order",
		`*a`:                       "nothing to repeat",
		`(?:a*)*`:                  "may be empty",
		`((a|bc){1000}b){1000}`:    "instructions",
		`(){2000000000}`:           "instructions",
		strings.Repeat("(", 200):   "nested",
		strings.Repeat("[", 200):   "nested",
		strings.Repeat("a", 1<<17): "long",
		`\`:                        "backslash",
		`\x{FFFFFFF}`:              "code point",
		`(?P<name>a)`:              "not supported",
	} {
		if _, err := Compile(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: error %v, want one with %q", pattern, err, want)
		}
	}
}

// TestBudget checks that an exponential expression stops.
func TestBudget(t *testing.T) {
	re, err := Compile(`(?:a+)+b`)
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Repeat("a", 5000)
	steps := Budget(len(s))
	if lo, hi := re.Next(s, 0, &steps); lo != len(s) || hi != len(s) || steps >= 0 {
		t.Errorf("match at %d, %d with %d steps left, want the budget spent", lo, hi, steps)
	}
}

func FuzzCompile(f *testing.F) {
	for _, p := range []string{`'s|'t| ?\p{L}+|\s+(?!\S)`, `[^\r\n\p{L}]?+[a-z&&[^b]]{1,3}+`, `(?i:a|b*?)(?=c)$`, `\x{41}[]\-]`} {
		f.Add(p, "it's a test  \n x")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		re, err := Compile(pattern)
		if err != nil || len(s) > 1000 {
			return
		}
		if got := strings.Join(all(re, s), ""); len(got) > len(s) {
			t.Errorf("%q on %q gives more text than there is: %q", pattern, s, got)
		}
	})
}
