package quality

import (
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// repetition are the rules of Rae et al. 2021 (arXiv 2112.11446, table A1) against texts
// that repeat themselves. Shares are of the characters of all words, or of all lines or
// paragraphs. Sequences of words are compared without case and punctuation.
var repetition = append([]rule{
	{"more than 30 % of lines came before in it", func(j *Judge) bool { return j.repeated(j.lines).share > 0.3 }},
	{"more than 20 % of characters in such lines", func(j *Judge) bool { return j.repeated(j.lines).characters > 0.2 }},
	{"more than 30 % of paragraphs came before in it", func(j *Judge) bool { return j.repeated(j.paragraphs()).share > 0.3 }},
	{"more than 20 % of characters in such paragraphs", func(j *Judge) bool { return j.repeated(j.paragraphs()).characters > 0.2 }},
}, ofSequences()...)

// ofSequences returns the rules on the most frequent 2 to 4 words and on 5 to 10 that repeat.
func ofSequences() (rules []rule) {
	for i, most := range []float64{0.20, 0.18, 0.16} {
		rules = append(rules, rule{fmt.Sprintf("more than %.0f %% of characters in the most frequent %d words", 100*most, i+2),
			func(j *Judge) bool { return j.mostFrequent(i+2, most) }})
	}
	for i, most := range []float64{0.15, 0.14, 0.13, 0.12, 0.11, 0.10} {
		rules = append(rules, rule{fmt.Sprintf("more than %.0f %% of characters in %d words that came before in it", 100*most, i+5),
			func(j *Judge) bool { return j.repeats(i+5, most) }})
	}
	return rules
}

func (j *Judge) paragraphs() []string {
	var all []string
	for p := range strings.SplitSeq(j.text, "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, p)
		}
	}
	return all
}

type parts struct{ share, characters float64 }

// repeated returns which part of the texts came before.
func (j *Judge) repeated(texts []string) parts {
	j.seen.reset(len(texts))
	n, characters, all := 0, 0, 0
	for _, t := range texts {
		all += len(t)
		if j.seen.add(xxhash.Sum64String(t)) > 1 {
			n++
			characters += len(t)
		}
	}
	return parts{share(n, len(texts)), share(characters, all)}
}

// characters returns how many lie in the words from ... to-1.
func (j *Judge) characters(from, to int) int { return int(j.ends[to] - j.ends[from]) }

// all returns how many lie in all words.
func (j *Judge) all() int { return j.characters(0, len(j.words)) }

// sequences returns the hash of n words from each number on. Asked for in the order of n
// they take one step each.
func (j *Judge) sequences(n int) []uint64 {
	if n < j.length {
		j.length = 0
	}
	for ; j.length < n; j.length++ {
		if j.length == 0 {
			j.hashes = append(j.hashes[:0], make([]uint64, len(j.words))...)
		}
		j.hashes = j.hashes[:max(len(j.words)-j.length, 0)]
		for i := range j.hashes {
			j.hashes[i] = j.hashes[i]*0x9e3779b97f4a7c15 + j.words[i+j.length].Hash
		}
	}
	return j.hashes
}

// mostFrequent reports whether more than a share of the characters lies in the sequence of
// n words that occurs most often, of several the longest, if it occurs twice.
func (j *Judge) mostFrequent(n int, most float64) bool {
	if n > 2 && share(j.pairs*n*j.longest, j.all()) <= most {
		return false // longer sequences occur no more often than pairs
	}
	hashes := j.sequences(n)
	j.seen.reset(len(hashes))
	times, characters := 1, 0
	for i, h := range hashes {
		t := j.seen.add(h)
		if c := t * j.characters(i, i+n); t > times || t == times && t > 1 && c > characters {
			times, characters = t, c
		}
	}
	if n == 2 {
		j.pairs = times
	}
	return share(characters, j.all()) > most
}

// repeats reports whether more than a share of the characters lies in sequences of n words
// that came before. Those counted do not overlap.
func (j *Judge) repeats(n int, most float64) bool {
	if j.covered() <= most {
		return false
	}
	hashes := j.sequences(n)
	j.seen.reset(len(hashes))
	characters := 0
	for i := 0; i < len(hashes); {
		if j.seen.has(hashes[i]) {
			characters += j.characters(i, i+n)
			i += n
			continue
		}
		j.seen.add(hashes[i])
		i++
	}
	return share(characters, j.all()) > most
}

// covered returns the share of the characters in 5 words that came before, overlapping
// ones included: it bounds that of more words.
func (j *Judge) covered() float64 {
	if j.cover >= 0 {
		return j.cover
	}
	hashes := j.sequences(5)
	j.seen.reset(len(hashes))
	characters, end := 0, 0
	for i, h := range hashes {
		if j.seen.add(h) > 1 {
			characters += j.characters(max(i, end), i+5)
			end = i + 5
		}
	}
	j.cover = share(characters, j.all())
	return j.cover
}
