package eval

import (
	"regexp"
	"strings"
)

// filter finds the answer in what a model has written.
type filter struct {
	Name    string         `yaml:"name"`
	Pattern *regexp.Regexp `yaml:"pattern"` // its first group that matches, or all of it
	Last    bool           `yaml:"last"`    // of several matches the last
}

// invalid is the answer of a text that has none.
const invalid = "[invalid]"

func (f *filter) apply(text string) string {
	found := f.Pattern.FindAllStringSubmatch(text, -1)
	if len(found) == 0 {
		return invalid
	}
	match := found[0]
	if f.Last {
		match = found[len(found)-1]
	}
	for _, group := range match[1:] {
		if group != "" {
			return strings.TrimSpace(group)
		}
	}
	return strings.TrimSpace(match[0])
}

// normal returns what of an answer is compared: in small letters, without what the task
// ignores, words apart by one space.
func (t *Task) normal(answer string) string {
	answer = strings.ToLower(answer)
	for _, p := range t.Ignore {
		answer = p.ReplaceAllLiteralString(answer, "")
	}
	return strings.Join(strings.Fields(answer), " ")
}

func (t *Task) normals(answers []string) []string {
	out := make([]string, len(answers))
	for i, a := range answers {
		out[i] = t.normal(a)
	}
	return out
}

// overlap returns SQuAD's F1: the harmonic mean of the shares of words that two normal
// answers have in common, each word as often as both have it.
func overlap(got, want string) float64 {
	a, b := strings.Fields(got), strings.Fields(want)
	if len(a) == 0 || len(b) == 0 {
		return truth(len(a) == len(b)).sum
	}
	left := map[string]int{}
	for _, w := range b {
		left[w]++
	}
	common := 0.0
	for _, w := range a {
		if left[w] > 0 {
			left[w]--
			common++
		}
	}
	return 2 * common / float64(len(a)+len(b))
}
