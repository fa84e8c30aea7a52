package chat

import "strings"

const pythonTag = "<|python_tag|>"

// llamaStart decides by the first bytes of the answer whether it is a tool call: a JSON object
// whose first key is "name", or anything behind <|python_tag|>.
func llamaStart(p *Parser) state {
	s := strings.TrimLeft(string(p.buf), space)
	object := strings.TrimLeft(strings.TrimPrefix(s, "{"), space)
	switch {
	case strings.HasPrefix(s, pythonTag), strings.HasPrefix(s, "{") && strings.HasPrefix(object, `"name"`):
		return llamaCall
	case p.closed:
		return contentOnly
	case strings.HasPrefix(pythonTag, s), strings.HasPrefix(s, "{") && strings.HasPrefix(`"name"`, object):
		return nil
	}
	return contentOnly
}

// llamaCall waits for the end, because calls fill the whole answer. What is no call after all
// becomes content.
func llamaCall(p *Parser) state {
	body, _, ok := p.body()
	if !ok {
		return nil
	}
	if calls, good := jsonCalls(strings.TrimPrefix(strings.TrimLeft(body, space), pythonTag)); good {
		p.call(calls...)
	} else {
		p.trims = false
		p.emit(Content, body)
	}
	return contentOnly
}

func contentOnly(p *Parser) state {
	p.trims = false
	p.text(Content)
	return nil
}
