package quality

import (
	"strings"

	"github.com/ingot-llm/ingot/train/words"
)

// gopher are the quality rules of Rae et al. 2021 (arXiv 2112.11446, table A1). Words are
// what spaces part; those of symbols alone do not count for number and length.
var gopher = []rule{
	{"fewer than 50 words or more than 100,000", func(j *Judge) bool { return j.known < 50 || j.known > 100_000 }},
	{"words of fewer than 3 or more than 10 characters on average", func(j *Judge) bool {
		mean := j.meanLength()
		return mean < 3 || mean > 10
	}},
	{"more than one # or ellipsis in 10 words", func(j *Judge) bool {
		return share(strings.Count(j.text, "#"), len(j.words)) > 0.1 || share(ellipses(j.text), len(j.words)) > 0.1
	}},
	{"more than 90 % of lines begin with a bullet", func(j *Judge) bool { return j.shareOfLines(bullet) > 0.9 }},
	{"more than 30 % of lines end with an ellipsis", func(j *Judge) bool { return j.shareOfLines(ellipsis) > 0.3 }},
	{"fewer than 80 % of words have a letter", func(j *Judge) bool { return j.lettered() < 0.8 }},
	{"fewer than 2 of the words " + stopWordList, func(j *Judge) bool { return j.stopWords() < 2 }},
}

const stopWordList = "the be to of and that have with"

var stopWords = func() map[uint64]int {
	m := map[uint64]int{}
	for i, w := range words.Split(nil, stopWordList) {
		m[w.Hash] = i
	}
	return m
}()

// meanLength returns the characters of a word on average.
func (j *Judge) meanLength() float64 {
	n := 0
	for i := range j.words {
		if j.words[i].Hash != 0 {
			n += int(j.words[i].Runes)
		}
	}
	return share(n, j.known)
}

func ellipses(text string) int { return strings.Count(text, "...") + strings.Count(text, "…") }

func ellipsis(line string) bool {
	return strings.HasSuffix(line, "...") || strings.HasSuffix(line, "…")
}

func bullet(line string) bool {
	return strings.HasPrefix(line, "•") || strings.HasPrefix(line, "-") || strings.HasPrefix(line, "*")
}

func (j *Judge) shareOfLines(is func(string) bool) float64 {
	n := 0
	for _, line := range j.lines {
		if is(line) {
			n++
		}
	}
	return share(n, len(j.lines))
}

// lettered returns the share of words that have a letter.
func (j *Judge) lettered() float64 {
	n := 0
	for i := range j.words {
		if j.words[i].Letters {
			n++
		}
	}
	return share(n, len(j.words))
}

// stopWords returns how many of them the text has, up to 2.
func (j *Judge) stopWords() (n int) {
	seen := 0
	for i := range j.words {
		if at, ok := stopWords[j.words[i].Hash]; ok && seen>>at&1 == 0 {
			seen |= 1 << at
			if n++; n == 2 {
				break
			}
		}
	}
	return n
}
