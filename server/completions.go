package server

import (
	"strconv"
	"strings"

	"github.com/ingot-llm/ingot/engine"
	"github.com/valyala/fasthttp"
)

// complete answers POST /v1/completions.
func (s *Server) complete(ctx *fasthttp.RequestCtx) {
	b, bad := s.readBody(ctx, BodyCompletion)
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	a, reqs, bad := s.planCompletion(b, exchangeOf(ctx).key)
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	s.generate(ctx, &a.generation, a, "text_completion", reqs...)
}

// textAnswer is a text completion in the making, as chatAnswer is a chat's.
type textAnswer struct {
	generation
	prompts  []prompt
	n        int
	echo     bool
	logprobs int // -1: none
	choices  []textChoice
}

// textChoice is the state of one choice: what is not in a chunk yet, all of it if the
// answer is not streamed.
type textChoice struct {
	text    strings.Builder
	tokens  []engine.Token
	taken   bool // an event came, and with the first one the echo
	written bool
	echoed  int          // of tokens, those of the prompt
	at      textPosition // of tokens
	finish  engine.FinishReason
}

// planCompletion turns a checked body into requests to the engine, one for each prompt,
// and their answer.
func (s *Server) planCompletion(b *body, key string) (*textAnswer, []engine.Request, *Error) {
	a := &textAnswer{generation: s.newGeneration("cmpl-", b), logprobs: -1, echo: b.boolean("echo")}
	req, err := s.request(b, key)
	if err == nil {
		err = can(s.model.Info.Generates, "generate text")
	}
	if err == nil {
		a.stream, a.options, err = s.streamOptions(b)
	}
	if err == nil {
		err = a.setLength(b, &req)
	}
	if err == nil {
		a.prompts, err = s.prompts(b, "prompt")
	}
	if err != nil {
		return nil, nil, err
	}
	a.n = req.N
	if len(a.prompts)*a.n > maxPrompts {
		return nil, nil, invalid("n", "invalid_value", "n times the number of prompts must be at most %d", maxPrompts)
	}
	a.choices = make([]textChoice, len(a.prompts)*a.n)
	reqs := make([]engine.Request, len(a.prompts))
	for i := range reqs {
		reqs[i] = req
		reqs[i].Prompt = a.prompts[i].ids
	}
	return a, reqs, nil
}

// setLength reads max_tokens, echo and logprobs, which depend on each other.
func (a *textAnswer) setLength(b *body, req *engine.Request) *Error {
	if b.has("logprobs") {
		a.logprobs = int(b.integer("logprobs"))
		req.Logprobs = a.logprobs
		if a.echo {
			req.PromptLogprobs = a.logprobs
		}
	}
	maxTokens := int(b.integer("max_tokens"))
	if maxTokens == 0 && !a.echo {
		return invalid("max_tokens", "invalid_value", "max_tokens may be 0 only with echo")
	}
	if maxTokens == 0 && req.PromptLogprobs < 0 {
		req.PromptLogprobs = 0 // the engine scores; the answer shows the text only
	}
	return setLength(req, maxTokens)
}

// take adds an event to its choice; the first one brings the echoed prompt.
func (a *textAnswer) take(ev *engine.Event) *textChoice {
	c := &a.choices[ev.Index]
	if !c.taken && a.echo {
		p := &a.prompts[ev.Index/a.n]
		if p.text == "" {
			p.text = a.server.model.Tokenizer.Decode(p.ids, true)
		}
		c.text.WriteString(p.text)
		if a.logprobs >= 0 {
			c.tokens = append(c.tokens, a.job.prompt(ev.Index/a.n)...)
			c.echoed = len(c.tokens)
		}
	}
	if !c.taken && a.logprobs >= 0 {
		c.at = a.server.startText()
		if c.echoed == 0 {
			c.at.endPrompt(a.server, a.prompts[ev.Index/a.n].ids)
		}
	}
	c.taken = true
	c.text.WriteString(ev.Text)
	c.tokens = append(c.tokens, ev.Tokens...)
	if ev.Finish != engine.FinishNone {
		c.finish = ev.Finish
	}
	return c
}

// chunk implements chunker.
func (a *textAnswer) chunk(dst []byte, ev *engine.Event) []byte {
	c := a.take(ev)
	if c.text.Len() == 0 && len(c.tokens) == 0 && c.finish == engine.FinishNone {
		return dst
	}
	start := len(dst)
	dst = append(dst, a.frame.head...)
	dst = a.appendChoice(dst, ev.Index, c)
	c.text.Reset()
	c.tokens, c.echoed = c.tokens[:0], 0
	return a.frame.close(dst, start)
}

// last implements chunker.
func (a *textAnswer) last(dst []byte) []byte { return a.frame.usage(dst, a.job.usage(), 0) }

// appendChoice writes what a choice has gathered.
func (a *textAnswer) appendChoice(dst []byte, index int, c *textChoice) []byte {
	first := !c.written
	c.written = true
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = appendString(append(dst, `,"text":`...), c.text.String())
	dst = append(dst, `,"logprobs":`...)
	if a.logprobs < 0 || len(c.tokens) == 0 {
		dst = append(dst, `null`...)
	} else {
		dst = a.appendLogprobs(dst, index, c)
	}
	if a.ids {
		if first {
			dst = appendInts(append(dst, `,"prompt_token_ids":`...), a.prompts[index/a.n].ids)
		}
		dst = appendInts(append(dst, `,"token_ids":`...), tokenIDs(c.tokens[c.echoed:]))
	}
	dst = append(dst, `,"finish_reason":`...)
	return append(appendStringOrNull(dst, string(c.finish)), '}')
}

// appendLogprobs writes the logprobs of what a choice has gathered.
func (a *textAnswer) appendLogprobs(dst []byte, index int, c *textChoice) []byte {
	l := textLogprobs{server: a.server, top: a.logprobs}
	for i := range c.tokens[:c.echoed] {
		l.add(&c.tokens[i], &c.at, i == 0)
	}
	if c.echoed > 0 {
		c.at.endPrompt(a.server, a.prompts[index/a.n].ids)
	}
	for i := range c.tokens[c.echoed:] {
		l.add(&c.tokens[c.echoed+i], &c.at, false)
	}
	return l.appendJSON(dst)
}

// gather implements gatherer.
func (a *textAnswer) gather(ev *engine.Event) { a.take(ev) }

// whole implements gatherer.
func (a *textAnswer) whole() []byte {
	dst := appendHead(nil, a.id, "text_completion", a.model, a.created)
	for i := range a.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.appendChoice(dst, i, &a.choices[i])
	}
	dst = append(dst, `],"usage":`...)
	return append(appendUsage(dst, a.job.usage(), 0), '}')
}
