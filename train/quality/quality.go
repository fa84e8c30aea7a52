// Package quality judges whether a text is worth training on, by rules that others have
// published. The thresholds were found on English pages of the web.
package quality

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/train/words"
)

// filters are the sets of rules, in the order in which they judge.
var filters = []struct {
	name  string
	rules []rule
}{{"repetition", repetition}, {"gopher", gopher}, {"c4", c4}}

// Names returns the filters' names.
func Names() (names []string) {
	for _, f := range filters {
		names = append(names, f.name)
	}
	return names
}

// rule is one reason for which a text is dropped.
type rule struct {
	name   string
	broken func(*Judge) bool
}

// Filter judges texts by rules. It is safe for concurrent use.
type Filter struct {
	rules []rule
	lines bool // takes lines out of texts
}

// New returns the filter of some of Names.
func New(names []string) (*Filter, error) {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("%q is no filter: want %s", name, strings.Join(Names(), ", "))
		}
	}
	f := &Filter{lines: slices.Contains(names, "c4")}
	for _, set := range filters {
		if slices.Contains(names, set.name) {
			for _, r := range set.rules {
				f.rules = append(f.rules, rule{set.name + ": " + r.name, r.broken})
			}
		}
	}
	return f, nil
}

// TakesLines reports whether Trim may change texts.
func (f *Filter) TakesLines() bool { return f.lines }

// Judge looks at one text after the other, in memory that it keeps. One goroutine.
type Judge struct {
	text  string
	words []words.Word
	known int      // words that have letters or digits
	lines []string // without space around them, and without empty ones
	seen  table

	ends    []int32 // characters of the words before each, and of all
	longest int     // characters of the longest word
	hashes  []uint64
	length  int     // words that a hash is of
	pairs   int     // how often the most frequent pair of words occurs
	cover   float64 // what covered returns; -1: not known
}

// Broken returns the name of the first rule that the text breaks, whose words are those
// given; "" if it breaks none.
func (f *Filter) Broken(j *Judge, text string, w []words.Word) string {
	if len(f.rules) == 0 {
		return ""
	}
	j.set(text, w)
	for _, r := range f.rules {
		if r.broken(j) {
			return r.name
		}
	}
	return ""
}

func (j *Judge) set(text string, w []words.Word) {
	j.text, j.words, j.known, j.lines = text, w, 0, j.lines[:0]
	j.ends, j.longest, j.length, j.pairs, j.cover = append(j.ends[:0], 0), 0, 0, 0, -1
	for i := range w {
		if w[i].Hash != 0 {
			j.known++
		}
		j.ends = append(j.ends, j.ends[i]+w[i].Runes)
		j.longest = max(j.longest, int(w[i].Runes))
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			j.lines = append(j.lines, line)
		}
	}
}

// share returns a part of a whole.
func share(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
