package load

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
)

// Mix makes requests of random prompts whose lengths are spread evenly. The same Mix
// makes the same requests.
type Mix struct {
	Model string // "" leaves the choice to the server
	// Chat asks /v1/chat/completions, else /v1/completions.
	Chat bool
	// Vocab, if not 0, makes prompts of token ids from 3 to Vocab-1, of exact length:
	// for text completions by servers that take ids. 0 makes them of short words, most
	// of which are one token in large vocabularies.
	Vocab int
	// Prompt and Output are lengths in tokens.
	Prompt, Output Span
	// IgnoreEOS asks for all of Output, where the server knows the field.
	IgnoreEOS bool
	// Temperature of sampling; 0 is greedy.
	Temperature float64
	Seed        uint64
}

// Span is a range of lengths, both ends included, from 1.
type Span struct{ Min, Max int }

func (s Span) draw(r *rand.Rand) int { return s.Min + r.IntN(max(s.Max-s.Min, 0)+1) }

// body is a request as JSON.
type body struct {
	Model       string    `json:"model,omitempty"`
	Prompt      any       `json:"prompt,omitempty"`
	Messages    []message `json:"messages,omitempty"`
	MaxTokens   int       `json:"max_tokens"`
	Temperature float64   `json:"temperature"`
	IgnoreEOS   bool      `json:"ignore_eos,omitempty"`
	Stream      bool      `json:"stream"`
	Options     struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Request returns the n-th request; it is safe for concurrent use.
func (m Mix) Request(n int) Request {
	r := rand.New(rand.NewPCG(m.Seed, uint64(n)))
	b := body{Model: m.Model, MaxTokens: m.Output.draw(r), Temperature: m.Temperature, IgnoreEOS: m.IgnoreEOS, Stream: true}
	b.Options.Usage = true
	path, length := "/v1/completions", m.Prompt.draw(r)
	switch {
	case m.Chat:
		path, b.Messages = "/v1/chat/completions", []message{{"user", words(r, length)}}
	case m.Vocab > firstID:
		b.Prompt = ids(r, length, m.Vocab)
	default:
		b.Prompt = words(r, length)
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic("BUG: a request does not marshal: " + err.Error())
	}
	return Request{Path: path, Body: text, MaxTokens: b.MaxTokens}
}

// firstID leaves out the control tokens with which many vocabularies begin.
const firstID = 3

func ids(r *rand.Rand, n, vocab int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = firstID + r.IntN(vocab-firstID)
	}
	return out
}

// vocabulary is words that large vocabularies have as one token with the space before.
var vocabulary = strings.Fields("the one day little boy girl went to park and saw a big dog that was very happy " +
	"they played with ball all morning until sun came out from behind hill then home for lunch mom said be good")

func words(r *rand.Rand, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = vocabulary[r.IntN(len(vocabulary))]
	}
	return strings.Join(out, " ")
}
