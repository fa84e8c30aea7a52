package chat

import (
	"bytes"
	"strings"
)

// EventKind says what an Event adds to the message.
type EventKind uint8

// The kinds of events.
const (
	Content   EventKind = iota // Text continues the answer
	Reasoning                  // Text continues the reasoning
	Call                       // Call is a complete tool call
)

// Event is one step of a message that is being generated.
type Event struct {
	Kind EventKind
	Text string
	Call ToolCall
}

// ToolCall is a call of a function that the model asks for.
type ToolCall struct {
	ID        string // as the model wrote it; "" where its format has none
	Name      string
	Arguments string // JSON text as the model wrote it, not checked against the tool's schema
}

// Message is a complete output in its parts.
type Message struct {
	Content, Reasoning string
	Calls              []ToolCall
}

// Add applies an event.
func (m *Message) Add(e Event) {
	switch e.Kind {
	case Content:
		m.Content += e.Text
	case Reasoning:
		m.Reasoning += e.Text
	default:
		m.Calls = append(m.Calls, e.Call)
	}
}

// Parser splits generated text into events as it arrives. The message that the events add up
// to does not depend on how the text was cut. Control tokens must be in the text by their
// names. Tool calls come whole; a malformed one comes as content, as the model wrote it. One
// goroutine uses a Parser.
type Parser struct {
	state  state
	buf    []byte // received and not consumed
	seen   int    // bytes of buf that hold no marker the state waits for
	closed bool
	events []Event

	trims    bool   // white space next to markers is no part of the message
	trimLeft bool   // the next text follows a marker
	held     string // white space that counts only if text follows
	heldKind EventKind
	thinks   bool // <think> blocks are reasoning
}

// state consumes from the buffer and returns the next state, or nil to wait for more text. At
// the end of the text, when p.closed is set, nil ends the parse.
type state func(p *Parser) state

// Parser returns a parser for the model's answer to prompt, which decides whether the answer
// begins inside of a reasoning block.
func (f *Format) Parser(prompt string) *Parser {
	p := &Parser{thinks: f.thinks, trims: f.family != Harmony}
	inside := f.thinks && strings.HasSuffix(strings.TrimRight(prompt, " \n"), "<think>")
	p.trimLeft = inside
	switch f.family {
	case Hermes:
		p.state = pick(inside, thinkBlock(hermesText), hermesText)
	case Llama3:
		p.state = llamaStart
	case Mistral:
		p.state = mistralText
	case Harmony:
		p.state = harmonyStart
	default:
		p.state = pick(inside, thinkBlock(plainText), plainText)
	}
	return p
}

func pick(first bool, a, b state) state {
	if first {
		return a
	}
	return b
}

// Parse splits a complete answer to prompt.
func (f *Format) Parse(prompt, answer string) (m Message) {
	p := f.Parser(prompt)
	for _, e := range append(p.Feed(answer), p.Close()...) {
		m.Add(e)
	}
	return m
}

// Feed takes more text and returns what is certain now.
func (p *Parser) Feed(text string) []Event {
	p.buf = append(p.buf, text...)
	return p.run()
}

// Close ends the text and returns the rest. The parser takes nothing after it.
func (p *Parser) Close() []Event {
	p.closed = true
	events := p.run()
	if p.held != "" {
		events = append(events, Event{Kind: p.heldKind, Text: p.held})
		p.held = ""
	}
	return events
}

func (p *Parser) run() []Event {
	p.events = nil
	for {
		next := p.state(p)
		if next == nil {
			return p.events
		}
		p.state, p.seen = next, 0
	}
}

// text passes on text of a kind up to the first of the markers, which it consumes, and returns
// the marker's number. It returns -1 where no marker has come yet; then it keeps back what may
// be the beginning of one.
func (p *Parser) text(kind EventKind, markers ...string) int {
	at, which := p.find(markers)
	if which < 0 {
		end := len(p.buf)
		if !p.closed {
			end -= partialMarker(p.buf, markers)
		}
		p.emit(kind, string(p.buf[:end]))
		p.consume(end)
		return -1
	}
	p.emit(kind, string(p.buf[:at]))
	p.consume(at + len(markers[which]))
	if p.trims {
		p.held, p.trimLeft = "", true
	}
	return which
}

// body returns the text before the first of the markers and consumes both. ok is false while
// none has come; at the end of the text the rest is the body, with which -1.
func (p *Parser) body(markers ...string) (s string, which int, ok bool) {
	at, which := p.find(markers)
	switch {
	case which >= 0:
		s = string(p.buf[:at])
		p.consume(at + len(markers[which]))
	case p.closed:
		s = string(p.buf)
		p.consume(len(p.buf))
	default:
		p.seen = len(p.buf) - partialMarker(p.buf, markers)
		return "", -1, false
	}
	return s, which, true
}

func (p *Parser) consume(n int) {
	p.buf, p.seen = p.buf[n:], 0
}

func (p *Parser) find(markers []string) (at, which int) {
	which = -1
	for i, m := range markers {
		if j := bytes.Index(p.buf[p.seen:], []byte(m)); j >= 0 && (which < 0 || p.seen+j < at) {
			at, which = p.seen+j, i
		}
	}
	return at, which
}

// partialMarker returns the length of the longest end of b that begins a marker.
func partialMarker(b []byte, markers []string) int {
	longest := 0
	for _, m := range markers {
		for n := min(len(m)-1, len(b)); n > longest; n-- {
			if string(b[len(b)-n:]) == m[:n] {
				longest = n
			}
		}
	}
	return longest
}

const space = " \t\r\n"

// emit passes on text, less the white space next to markers where that does not count.
func (p *Parser) emit(kind EventKind, s string) {
	if p.trimLeft {
		if s = strings.TrimLeft(s, space); s == "" {
			return
		}
		p.trimLeft = false
	}
	if p.trims {
		s = p.held + s
		body := strings.TrimRight(s, space)
		s, p.held, p.heldKind = body, s[len(body):], kind
	}
	if s != "" {
		p.events = append(p.events, Event{Kind: kind, Text: s})
	}
}

func (p *Parser) call(calls ...ToolCall) {
	for _, c := range calls {
		p.events = append(p.events, Event{Kind: Call, Call: c})
	}
}

// thinkBlock reads reasoning up to </think> and goes on with next.
func thinkBlock(next state) state {
	return func(p *Parser) state {
		if p.text(Reasoning, "</think>") < 0 {
			return nil
		}
		return next
	}
}

// plainText is the state of models without tool calls.
func plainText(p *Parser) state {
	if !p.thinks {
		p.trims = false
		p.text(Content)
		return nil
	}
	if p.text(Content, "<think>") < 0 {
		return nil
	}
	return thinkBlock(plainText)
}
