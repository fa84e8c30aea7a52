package server

import (
	"strconv"
	"strings"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/chat/jinja"
	"github.com/valyala/fasthttp"
)

// chat answers POST /v1/chat/completions.
func (s *Server) chat(ctx *fasthttp.RequestCtx) {
	b, bad := s.readBody(ctx, BodyChat)
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	a, req, bad := s.planChat(b, exchangeOf(ctx).key)
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	s.generate(ctx, &a.generation, a, "chat.completion.chunk", req)
}

// chatAnswer is a chat completion in the making: it makes the chunks of a stream, and it
// gathers the whole of an answer that is not streamed.
type chatAnswer struct {
	generation
	prompt   []int32
	logprobs bool
	top      int

	choices   []chatChoice
	reasoning int // tokens
}

// chatChoice is the state of one choice.
type chatChoice struct {
	parser  *chat.Parser
	started bool
	events  []chat.Event   // of the event at hand
	pending []engine.Token // not in a chunk yet
	calls   []chat.ToolCall
	content strings.Builder
	thought strings.Builder
	finish  engine.FinishReason
}

// planChat turns a checked body into a request to the engine and its answer.
func (s *Server) planChat(b *body, key string) (*chatAnswer, engine.Request, *Error) {
	a := &chatAnswer{generation: s.newGeneration("chatcmpl-", b)}
	req, err := s.request(b, key)
	if err == nil {
		a.stream, a.options, err = s.streamOptions(b)
	}
	if err == nil {
		err = a.setLogprobs(b, &req)
	}
	if err != nil {
		return nil, req, err
	}
	if err := s.renderChat(a, b, &req); err != nil {
		return nil, req, err
	}
	return a, req, s.chatLength(b, &req)
}

// renderChat sets the prompt and one parser for each choice.
func (s *Server) renderChat(a *chatAnswer, b *body, req *engine.Request) *Error {
	if _, err := s.chatFormat(); err != nil {
		return err
	}
	c, err := s.chatConversation(b)
	if err != nil {
		return err
	}
	text, ids, err := s.render(c)
	if err != nil {
		return err
	}
	a.prompt, req.Prompt = ids, ids
	req.KeepSpecial = s.model.Chat.Family().Marked()
	a.choices = make([]chatChoice, req.N)
	for i := range a.choices {
		a.choices[i].parser = s.model.Chat.Parser(text)
	}
	return nil
}

// chatConversation adds what only chat has: tool_choice and reasoning_effort.
func (s *Server) chatConversation(b *body) (conversation, *Error) {
	c, err := s.conversation(b)
	if err != nil {
		return c, err
	}
	if len(c.tools.Items()) > 0 && !b.boolean("parallel_tool_calls") {
		return c, invalid("parallel_tool_calls", "unsupported_parameter", "parallel_tool_calls must be true: the number of calls is not constrained")
	}
	if len(c.tools.Items()) > 0 && !s.model.Chat.Caps().Tools {
		return c, invalid("tools", "unsupported_parameter", "the model's chat template cannot offer tools")
	}
	if b.text("tool_choice") == "none" {
		c.tools = jinja.None()
	}
	if !b.has("reasoning_effort") {
		return c, nil
	}
	return c, setEffort(&c, b.text("reasoning_effort"), s.model.Chat)
}

// setEffort gives reasoning_effort to a template that knows it, and "none" to one that
// can only switch its reasoning off.
func setEffort(c *conversation, effort string, format *chat.Format) *Error {
	name, value := "reasoning_effort", jinja.Text(effort)
	if format.Family() != chat.Harmony {
		if effort != "none" || !format.Caps().EnableThinking {
			return invalid(name, "unsupported_parameter", "reasoning_effort %q is not supported: the model's chat template has no such switch", effort)
		}
		name, value = "enable_thinking", jinja.Bool(false)
	}
	if !c.set(name, value) {
		return invalid("reasoning_effort", "invalid_value", "reasoning_effort and chat_template_kwargs both set %s", name)
	}
	return nil
}

func (a *chatAnswer) setLogprobs(b *body, req *engine.Request) *Error {
	a.logprobs = b.boolean("logprobs")
	a.top = int(b.integer("top_logprobs"))
	if a.top > 0 && !a.logprobs {
		return invalid("top_logprobs", "invalid_value", "top_logprobs needs logprobs")
	}
	if a.logprobs {
		req.Logprobs = a.top
	}
	return nil
}

// chatLength bounds the answer: by the request, or by what the context still holds.
func (s *Server) chatLength(b *body, req *engine.Request) *Error {
	switch {
	case b.has("max_completion_tokens") && b.has("max_tokens") && b.integer("max_completion_tokens") != b.integer("max_tokens"):
		return invalid("max_tokens", "invalid_value", "max_tokens and max_completion_tokens differ: give one")
	case b.has("max_completion_tokens"):
		return setLength(req, int(b.integer("max_completion_tokens")))
	case b.has("max_tokens"):
		return setLength(req, int(b.integer("max_tokens")))
	}
	left := s.model.Info.Context - len(req.Prompt)
	if left < 1 {
		return asError(&engine.TooLongError{PromptTokens: len(req.Prompt), MaxTokens: 1, Limit: s.model.Info.Context, What: "context length"})
	}
	return setLength(req, left)
}

// parse feeds an event to its choice's parser.
func (a *chatAnswer) parse(ev *engine.Event) *chatChoice {
	c := &a.choices[ev.Index]
	c.pending = append(c.pending, ev.Tokens...)
	c.events = c.events[:0]
	if ev.Text != "" {
		c.events = append(c.events, c.parser.Feed(ev.Text)...)
	}
	if ev.Finish != engine.FinishNone {
		c.events = append(c.events, c.parser.Close()...)
		c.finish = ev.Finish
	}
	if len(c.events) > 0 && c.events[0].Kind == chat.Reasoning {
		a.reasoning += len(ev.Tokens)
	}
	return c
}

// call adds a tool call, which the parser gives whole.
func (a *chatAnswer) call(c *chatChoice, call chat.ToolCall) {
	if call.ID == "" {
		call.ID = "call_" + a.server.newID()
	}
	c.calls = append(c.calls, call)
}

// finishReason is the wire's word for why a choice ended.
func (c *chatChoice) finishReason() string {
	if len(c.calls) > 0 && c.finish == engine.FinishStop {
		return "tool_calls"
	}
	return string(c.finish)
}

// chunk implements chunker.
func (a *chatAnswer) chunk(dst []byte, ev *engine.Event) []byte {
	c := a.parse(ev)
	if !c.started {
		c.started = true
		dst = a.openChunk(dst, ev.Index)
	}
	for i := range c.events {
		dst = a.deltaChunk(dst, ev.Index, c, &c.events[i])
	}
	if ev.Finish != engine.FinishNone {
		start := len(dst)
		dst = append(a.beginChoice(dst, ev.Index), `"delta":{}`...)
		dst = a.endChoice(dst, start, c, c.finishReason())
	}
	return dst
}

// last implements chunker.
func (a *chatAnswer) last(dst []byte) []byte {
	return a.frame.usage(dst, a.job.usage(), a.reasoning)
}

func (a *chatAnswer) beginChoice(dst []byte, index int) []byte {
	dst = append(append(dst, a.frame.head...), `{"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	return append(dst, ',')
}

// openChunk says who speaks.
func (a *chatAnswer) openChunk(dst []byte, index int) []byte {
	start := len(dst)
	dst = a.beginChoice(dst, index)
	dst = append(dst, `"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]`...)
	if a.ids {
		dst = append(dst, `,"prompt_token_ids":`...)
		dst = appendInts(dst, a.prompt)
	}
	if a.options.usage {
		dst = append(dst, `,"usage":null`...)
	}
	return a.frame.seal(dst, start)
}

func (a *chatAnswer) deltaChunk(dst []byte, index int, c *chatChoice, e *chat.Event) []byte {
	start := len(dst)
	dst = append(a.beginChoice(dst, index), `"delta":{`...)
	switch e.Kind {
	case chat.Call:
		a.call(c, e.Call)
		dst = append(dst, `"tool_calls":[`...)
		dst = append(appendCall(dst, c.calls, len(c.calls)-1), ']')
	case chat.Reasoning:
		dst = appendString(append(dst, `"reasoning_content":`...), e.Text)
	default:
		dst = appendString(append(dst, `"content":`...), e.Text)
	}
	return a.endChoice(append(dst, '}'), start, c, "")
}

// endChoice closes a choice and its chunk; the tokens since the last chunk go with it.
func (a *chatAnswer) endChoice(dst []byte, start int, c *chatChoice, finish string) []byte {
	dst = a.appendTokens(dst, c.pending)
	c.pending = c.pending[:0]
	dst = append(dst, `,"finish_reason":`...)
	dst = append(appendStringOrNull(dst, finish), '}')
	return a.frame.close(dst, start)
}

// appendTokens writes the logprobs and token_ids members of a choice.
func (a *chatAnswer) appendTokens(dst []byte, tokens []engine.Token) []byte {
	if a.ids {
		dst = appendInts(append(dst, `,"token_ids":`...), tokenIDs(tokens))
	}
	dst = append(dst, `,"logprobs":`...)
	if !a.logprobs || len(tokens) == 0 {
		return append(dst, `null`...)
	}
	return a.server.appendChatLogprobs(dst, tokens, a.top)
}

// gather implements gatherer.
func (a *chatAnswer) gather(ev *engine.Event) {
	c := a.parse(ev)
	for i := range c.events {
		switch e := &c.events[i]; e.Kind {
		case chat.Call:
			a.call(c, e.Call)
		case chat.Reasoning:
			c.thought.WriteString(e.Text)
		default:
			c.content.WriteString(e.Text)
		}
	}
}

// whole implements gatherer.
func (a *chatAnswer) whole() []byte {
	dst := appendHead(make([]byte, 0, 1024), a.id, "chat.completion", a.model, a.created)
	for i := range a.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.appendMessage(dst, i, &a.choices[i])
	}
	dst = append(dst, ']')
	if a.ids {
		dst = appendInts(append(dst, `,"prompt_token_ids":`...), a.prompt)
	}
	dst = append(dst, `,"usage":`...)
	return append(appendUsage(dst, a.job.usage(), a.reasoning), '}')
}

func (a *chatAnswer) appendMessage(dst []byte, index int, c *chatChoice) []byte {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(dst, `,"message":{"role":"assistant","content":`...)
	if len(c.calls) > 0 && c.content.Len() == 0 {
		dst = append(dst, `null`...)
	} else {
		dst = appendString(dst, c.content.String())
	}
	dst = append(dst, `,"refusal":null`...)
	if c.thought.Len() > 0 {
		dst = appendString(append(dst, `,"reasoning_content":`...), c.thought.String())
	}
	if len(c.calls) > 0 {
		dst = appendCalls(append(dst, `,"tool_calls":`...), c.calls)
	}
	dst = a.appendTokens(append(dst, '}'), c.pending)
	dst = append(dst, `,"finish_reason":`...)
	return append(appendString(dst, c.finishReason()), '}')
}

func appendCalls(dst []byte, calls []chat.ToolCall) []byte {
	dst = append(dst, '[')
	for i := range calls {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCall(dst, calls, i)
	}
	return append(dst, ']')
}

// appendCall writes the i-th call; its index is what streams are put together by.
func appendCall(dst []byte, calls []chat.ToolCall, i int) []byte {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = appendString(append(dst, `,"id":`...), calls[i].ID)
	dst = appendString(append(dst, `,"type":"function","function":{"name":`...), calls[i].Name)
	dst = appendString(append(dst, `,"arguments":`...), calls[i].Arguments)
	return append(dst, `}}`...)
}
