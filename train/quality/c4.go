package quality

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/train/words"
)

// c4 are the rules of Raffel et al. 2019 (arXiv 1910.10683, section 2.2) on texts, once
// Trim has taken lines out of them.
var c4 = []rule{
	{"lorem ipsum", loremIpsum},
	{"a curly bracket", func(j *Judge) bool { return strings.Contains(j.text, "{") }},
	{"fewer than 5 sentences", func(j *Judge) bool { return sentences(j.text, 5) < 5 }},
}

var lorem = words.Split(nil, "lorem ipsum")

func loremIpsum(j *Judge) bool {
	for i := 1; i < len(j.words); i++ {
		if j.words[i].Hash == lorem[1].Hash && j.words[i-1].Hash == lorem[0].Hash {
			return true
		}
	}
	return false
}

// notices are what lines that are no text of the page contain.
var notices = []string{"javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"}

// Trim returns a text without the lines that C4 has none of, and how many they are: those
// that end without a full stop, question or exclamation mark or quotation mark, or with an
// ellipsis, have fewer than 3 words, or speak of Javascript or of cookies.
func (f *Filter) Trim(text string) (rest string, taken int) {
	if !f.lines {
		return text, 0
	}
	var out strings.Builder
	out.Grow(len(text))
	for line := range strings.SplitSeq(text, "\n") {
		bare := strings.TrimSpace(line)
		if bare != "" && !keeps(bare) {
			taken++
			continue
		}
		out.WriteString(line)
		out.WriteByte('\n')
	}
	if taken == 0 {
		return text, 0
	}
	return strings.TrimSpace(out.String()), taken
}

func keeps(line string) bool {
	if !ends(line) || ellipsis(line) || !words3(line) {
		return false
	}
	line = strings.ToLower(line)
	return !slices.ContainsFunc(notices, func(n string) bool { return strings.Contains(line, n) })
}

// ends reports whether a line ends as a sentence does.
func ends(line string) bool {
	r, _ := utf8.DecodeLastRuneInString(line)
	return strings.ContainsRune(".?!\"'”’»", r)
}

// words3 reports whether a line has at least 3 words.
func words3(line string) bool {
	n := 0
	for range strings.FieldsSeq(line) {
		if n++; n == 3 {
			return true
		}
	}
	return false
}

// sentences counts marks that end one, up to most: a mark, perhaps closing ones, and space
// or the end.
func sentences(text string, most int) (n int) {
	for n < most {
		i := strings.IndexAny(text, ".?!")
		if i < 0 {
			break
		}
		text = strings.TrimLeft(text[i+1:], ".?!\"')]”’»")
		if r, _ := utf8.DecodeRuneInString(text); text == "" || unicode.IsSpace(r) {
			n++
		}
	}
	return n
}
