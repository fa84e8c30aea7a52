package chat

import "strings"

// harmonyEnds are the tokens that end a message; the last begins the next one.
var harmonyEnds = []string{"<|end|>", "<|call|>", "<|return|>", "<|start|>"}

// harmonyStart tells an answer with channels from one without, which is all content.
func harmonyStart(p *Parser) state {
	s := strings.TrimLeft(string(p.buf), space)
	// The prompt ends in <|start|>assistant, so the header may go on with " to=functions.x".
	for _, header := range []string{"<|", "to="} {
		if strings.HasPrefix(s, header) {
			return harmonyHeader
		}
		if !p.closed && strings.HasPrefix(header, s) {
			return nil
		}
	}
	return harmonyBody(Content)
}

// harmonyHeader reads the header of a message: its channel and whom it is for, such as
//
//	<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>
//
// A header that the end of the text cuts off is dropped.
func harmonyHeader(p *Parser) state {
	header, which, ok := p.body("<|message|>")
	switch {
	case !ok || which < 0:
		return nil
	case wordAfter(header, "to=") != "":
		return harmonyCall(strings.TrimPrefix(wordAfter(header, "to="), "functions."))
	case wordAfter(header, "<|channel|>") == "analysis":
		return harmonyBody(Reasoning)
	}
	return harmonyBody(Content)
}

// wordAfter returns the word behind a marker in a header, "" where the marker is absent.
func wordAfter(header, marker string) string {
	_, rest, _ := strings.Cut(header, marker)
	if i := strings.IndexAny(rest, space+"<"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

func harmonyBody(kind EventKind) state {
	return func(p *Parser) state {
		if p.text(kind, harmonyEnds...) < 0 {
			return nil
		}
		return harmonyHeader
	}
}

func harmonyCall(name string) state {
	return func(p *Parser) state {
		body, _, ok := p.body(harmonyEnds...)
		if !ok {
			return nil
		}
		p.call(ToolCall{Name: name, Arguments: strings.TrimSpace(body)})
		return harmonyHeader
	}
}
