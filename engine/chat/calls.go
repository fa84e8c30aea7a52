package chat

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// jsonCall is a tool call as models write it in JSON; the arguments go by two names.
type jsonCall struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Arguments  json.RawMessage `json:"arguments"`
	Parameters json.RawMessage `json:"parameters"`
}

// jsonCalls reads a call, a list of calls, or calls separated by white space or semicolons. ok
// is false where the text is anything else.
func jsonCalls(s string) (calls []ToolCall, ok bool) {
	for s = strings.TrimLeft(s, space+";"); s != ""; s = strings.TrimLeft(s, space+";") {
		d := json.NewDecoder(strings.NewReader(s))
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return nil, false
		}
		s = s[d.InputOffset():]
		var list []jsonCall
		if raw[0] != '[' {
			raw = append(append(json.RawMessage{'['}, raw...), ']')
		}
		if json.Unmarshal(raw, &list) != nil {
			return nil, false
		}
		for _, c := range list {
			call, good := c.toolCall()
			if !good {
				return nil, false
			}
			calls = append(calls, call)
		}
	}
	return calls, len(calls) > 0
}

func (c *jsonCall) toolCall() (ToolCall, bool) {
	args := c.Arguments
	if args == nil {
		args = c.Parameters
	}
	var text string
	switch {
	case len(args) == 0 || string(args) == "null":
		text = "{}"
	case args[0] == '{':
		text = string(args)
	case json.Unmarshal(args, &text) != nil: // some models write the object as a string
		return ToolCall{}, false
	}
	return ToolCall{ID: c.ID, Name: c.Name, Arguments: text}, c.Name != ""
}

// isJSON reports whether s is one JSON value.
func isJSON(s string) bool {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	var v json.RawMessage
	if d.Decode(&v) != nil {
		return false
	}
	_, err := d.Token()
	return err == io.EOF
}
