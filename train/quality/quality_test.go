package quality

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/train/words"
)

// prose returns n lines of a sentence of 11 words and 44 characters, which have little in
// common.
func prose(n int) string {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	letter := func() rune { return rune('a' + random.IntN(26)) }
	var out strings.Builder
	for range n {
		out.WriteString("The")
		for range 9 {
			fmt.Fprintf(&out, " %c%c%c%c", letter(), letter(), letter(), letter())
		}
		out.WriteString(" have.\n")
	}
	return out.String()
}

func judged(t *testing.T, name, text string) string {
	t.Helper()
	f, err := New([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	return f.Broken(&Judge{}, text, words.Split(nil, text))
}

// some changes the first n lines of a text.
func some(text string, n int, change func(line string) string) string {
	lines := strings.SplitAfter(text, "\n")
	for i := range n {
		lines[i] = change(lines[i])
	}
	return strings.Join(lines, "")
}

// TestRules breaks one rule at a time: each text lies just beyond a threshold, its twin
// just within.
func TestRules(t *testing.T) {
	again := strings.Repeat
	bulleted := func(line string) string { return "- " + line }
	trailing := func(line string) string { return strings.Replace(line, "have.", "have…", 1) }
	oneLine := func(n int) string { return strings.ReplaceAll(prose(n), "\n", " ") + "\n" }
	ending := func(text, end string) string { return strings.ReplaceAll(text, "have.", end) }
	for _, c := range []struct{ rule, bad, good string }{
		{"gopher: fewer than 50 words", prose(4) + "the fox ran a way", prose(4) + "the fox ran a long way"},
		{"gopher: fewer than 50 words or more than 100,000", prose(9091), prose(9090)},
		{"gopher: words of fewer than 3", again("the the to ", 30), again("the have to ", 30)},
		{"gopher: words of fewer than 3 or more than 10", again("the that "+again("x", 24)+" ", 30), again("the that "+again("x", 23)+" ", 30)},
		{"gopher: more than one # or", prose(9) + again(" #", 12), prose(9) + again(" #", 11)},
		{"gopher: more than one # or ellipsis", prose(9) + again(" ...", 12), prose(9) + again(" ...", 11)},
		{"gopher: more than 90 % of lines", some(prose(20), 19, bulleted), some(prose(20), 18, bulleted)},
		{"gopher: more than 30 % of lines", some(prose(10), 4, trailing), some(prose(10), 3, trailing)},
		{"gopher: fewer than 80 % of words", prose(10) + again(" 1234", 28), prose(10) + again(" 1234", 27)},
		{"gopher: fewer than 2 of the words", ending(prose(9), "dog."), ending(prose(9), "The have.")},
		{"repetition: more than 30 % of lines", prose(14) + again("a.\n", 8), prose(14) + again("a.\n", 7)},
		{"repetition: more than 20 % of characters in such lines", prose(9) + again(oneLine(5), 2), prose(45) + again(oneLine(5), 2)},
		{"repetition: more than 30 % of paragraphs", paragraphs(6, 5), paragraphs(6, 4)},
		{"repetition: more than 20 % of characters in the most frequent 2", ending(prose(50), "havens."), ending(prose(50), "had.")},
		{"repetition: more than 18 % of characters in the most frequent 3", ending(prose(50), "be had."), ending(prose(50), "a had.")},
		{"repetition: more than 16 % of characters in the most frequent 4", ending(prose(50), "it be to."), ending(prose(50), "a a a.")},
		{"repetition: more than 15 % of characters in 5", prose(20) + again(oneLine(5), 2), prose(20) + again(oneLine(2), 2)},
		{"c4: lorem ipsum", prose(5) + "Lorem Ipsum dolor.", prose(5)},
		{"c4: a curly", prose(5) + "if (a) { b }", prose(5)},
		{"c4: fewer than 5 sentences", prose(4) + "No 3.4 or 3.5", prose(4) + "No! (Yes.)"},
	} {
		name, _, _ := strings.Cut(c.rule, ":")
		if got := judged(t, name, c.bad); !strings.HasPrefix(got, c.rule) {
			t.Errorf("%s: broken is %q", c.rule, got)
		}
		if name == "gopher" || name == "repetition" {
			if got := judged(t, name, c.good); got != "" {
				t.Errorf("%s: the twin breaks %q", c.rule, got)
			}
		}
	}
}

func paragraphs(fresh, same int) string {
	var out strings.Builder
	for i := range fresh {
		fmt.Fprintf(&out, "%s\n", prose(i+3))
	}
	return out.String() + strings.Repeat("x\ny\n\n", same)
}

// TestRepetitionByHand compares the shares of repeated sequences with what strings and
// maps give, over texts of few different words.
func TestRepetitionByHand(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		var list []string
		for range random.IntN(120) {
			list = append(list, strings.Repeat("x", random.IntN(3)+1)+fmt.Sprint(random.IntN(2+round)))
		}
		text := strings.Join(list, " ")
		all := len(strings.Join(list, ""))
		j := &Judge{}
		for n := 2; n <= 10; n++ {
			want := 0
			if n < 5 {
				want = mostFrequentByHand(list, n)
			} else {
				want = repeatsByHand(list, n)
			}
			for _, most := range []float64{0.05, 0.1, 0.2, 0.4} {
				j.set(text, words.Split(nil, text))
				got := false
				if n < 5 {
					j.mostFrequent(2, 0)
					got = j.mostFrequent(n, most)
				} else {
					got = j.repeats(n, most)
				}
				if got != (share(want, all) > most) {
					t.Fatalf("%d words of %q: above %g is %v, want %d of %d", n, text, most, got, want, all)
				}
			}
		}
	}
}

func mostFrequentByHand(list []string, n int) (characters int) {
	counts, times := map[string]int{}, 0
	for i := 0; i+n <= len(list); i++ {
		counts[strings.Join(list[i:i+n], " ")]++
	}
	for gram, t := range counts {
		c := t * len(strings.ReplaceAll(gram, " ", ""))
		if t > 1 && (t > times || t == times && c > characters) {
			times, characters = t, c
		}
	}
	return characters
}

func repeatsByHand(list []string, n int) (characters int) {
	seen := map[string]bool{}
	for i := 0; i+n <= len(list); {
		gram := strings.Join(list[i:i+n], " ")
		if seen[gram] {
			characters += len(strings.ReplaceAll(gram, " ", ""))
			i += n
			continue
		}
		seen[gram] = true
		i++
	}
	return characters
}

func TestTrim(t *testing.T) {
	c4, err := New([]string{"c4"})
	if err != nil {
		t.Fatal(err)
	}
	text := "He said: \"No.\"\n\nMenu\nOne two\nPlease enable JavaScript in it.\nSee our Privacy Policy here.\nand so on...\nToo short.\n  Is it you?\n"
	if got, taken := c4.Trim(text); got != "He said: \"No.\"\n\n  Is it you?" || taken != 6 {
		t.Errorf("%q without %d lines", got, taken)
	}
	if got, taken := c4.Trim("It is so. \nYes, it is.\n"); got != "It is so. \nYes, it is.\n" || taken != 0 {
		t.Errorf("%q without %d lines", got, taken)
	}
	gopher, err := New([]string{"gopher"})
	if got, taken := gopher.Trim(text); err != nil || got != text || taken != 0 {
		t.Errorf("without c4: %q without %d lines, %v", got, taken, err)
	}
	if _, err := New([]string{"c5"}); err == nil || !strings.Contains(err.Error(), "repetition, gopher, c4") {
		t.Errorf("an unknown filter: %v", err)
	}
}
