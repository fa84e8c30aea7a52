package load

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Mix makes requests of random prompts. The same Mix makes the same requests.
type Mix struct {
	Model string // "" leaves the choice to the server
	// Chat asks /v1/chat/completions, else /v1/completions.
	Chat bool
	// Vocab, if not 0, makes prompts of token ids from 3 to Vocab-1, of exact length:
	// for text completions by servers that take ids. 0 makes them of short words, most
	// of which are one token in large vocabularies.
	Vocab int
	// Prompt and Output are lengths in tokens; a prompt's includes its prefix.
	Prompt, Output Lengths
	// LongShare of the prompts, 0 to 1, have a length of Long in place of Prompt.
	LongShare float64
	Long      Lengths
	// Prefixes is how many beginnings of PrefixTokens tokens the prompts share; 0: none.
	Prefixes, PrefixTokens int
	// Turns is how many requests a conversation has, each of which repeats what was said
	// before; 0 and 1 are single requests. Think is the time from an answer to the next
	// request.
	Turns int
	Think time.Duration
	// Trace, if not empty, gives the lengths and shared beginnings of the requests, in
	// place of Prompt, Output, LongShare and Prefixes; after its last one it begins anew.
	Trace []Traced
	// IgnoreEOS asks for all of Output, where the server knows the field.
	IgnoreEOS bool
	// Temperature of sampling; 0 is greedy.
	Temperature float64
	Seed        uint64
}

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

// Request returns the n-th request, a conversation's first; it is safe for concurrent
// use.
func (m Mix) Request(n int) Request {
	c := &conversation{mix: &m, random: rand.New(rand.NewPCG(m.Seed, uint64(n)))}
	if len(m.Trace) > 0 {
		t := &m.Trace[n%len(m.Trace)]
		return c.say(t.prompt(m.Vocab), t.Output)
	}
	length := m.Prompt
	if m.LongShare > 0 && c.random.Float64() < m.LongShare {
		length = m.Long
	}
	total := length.draw(c.random)
	prompt := make([]int, 0, total)
	if m.Prefixes > 0 {
		shared := rand.New(rand.NewPCG(m.Seed^prefixSeed, uint64(c.random.IntN(m.Prefixes))))
		prompt = appendTokens(prompt, shared, min(m.PrefixTokens, total), m.Vocab)
	}
	prompt = appendTokens(prompt, c.random, total-len(prompt), m.Vocab)
	return c.say(prompt, m.Output.draw(c.random))
}

// prefixSeed sets the prefixes' random numbers apart from the prompts' own.
const prefixSeed = 0x9e3779b97f4a7c15

// conversation is what was said so far.
type conversation struct {
	mix    *Mix
	random *rand.Rand
	said   []message // of a chat
	text   string    // of a text completion
	turns  int
}

// say returns the request of another turn.
func (c *conversation) say(prompt []int, output int) Request {
	m := c.mix
	b := body{Model: m.Model, MaxTokens: output, Temperature: m.Temperature, IgnoreEOS: m.IgnoreEOS, Stream: true}
	b.Options.Usage = true
	path := "/v1/completions"
	switch {
	case m.Chat:
		path = "/v1/chat/completions"
		c.said = append(c.said, message{"user", words(prompt)})
		b.Messages = c.said
	case m.Vocab > firstID:
		b.Prompt = prompt
	default:
		c.text += words(prompt)
		b.Prompt = c.text
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic("BUG: a request does not marshal: " + err.Error())
	}
	r := Request{Path: path, Body: text, MaxTokens: output, Think: m.Think}
	if c.turns++; c.turns < m.Turns {
		r.Then = c.reply
	}
	return r
}

// reply goes on after the server's answer.
func (c *conversation) reply(answer string) Request {
	c.said = append(slices.Clip(c.said), message{"assistant", answer})
	c.text += answer + " "
	prompt := appendTokens(nil, c.random, c.mix.Prompt.draw(c.random), c.mix.Vocab)
	return c.say(prompt, c.mix.Output.draw(c.random))
}

// firstID leaves out the control tokens with which many vocabularies begin.
const firstID = 3

// appendTokens appends n ids below vocab, or numbers of words where it is 0.
func appendTokens(dst []int, r *rand.Rand, n, vocab int) []int {
	for range n {
		if vocab > firstID {
			dst = append(dst, firstID+r.IntN(vocab-firstID))
		} else {
			dst = append(dst, r.IntN(len(vocabulary)))
		}
	}
	return dst
}

// vocabulary is words that large vocabularies have as one token with the space before.
var vocabulary = strings.Fields("the one day little boy girl went to park and saw a big dog that was very happy " +
	"they played with ball all morning until sun came out from behind hill then home for lunch mom said be good")

func words(numbers []int) string {
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = vocabulary[n%len(vocabulary)]
	}
	return strings.Join(out, " ")
}
