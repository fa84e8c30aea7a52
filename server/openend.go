package server

import (
	"errors"
	"strings"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/chat/jinja"
)

// openEnd cuts a rendered conversation after the text of its last message, as
// transformers' continue_final_message does, so that the model goes on with it.
func openEnd(segments []chat.Segment, messages jinja.Value) ([]chat.Segment, error) {
	items := messages.Items()
	last := strings.TrimSpace(contentText(items[len(items)-1]))
	if last == "" {
		return nil, errors.New("continue_final_message needs a last message with text")
	}
	text := chat.Join(segments)
	at := strings.LastIndex(text, last)
	if at < 0 {
		return nil, errors.New("continue_final_message needs a template that shows the last message as it is")
	}
	end := at + len(last)
	for i, seg := range segments {
		if end <= len(seg.Text) {
			segments[i].Text = seg.Text[:end]
			return segments[:i+1], nil
		}
		end -= len(seg.Text)
	}
	panic("BUG: the cut lies behind the segments it was found in")
}

// contentText returns a message's content; text parts are joined as the template's
// adapter joins them.
func contentText(message jinja.Value) string {
	d := message.Dict()
	if d == nil {
		return ""
	}
	content, _ := d.Get("content")
	if content.Kind() == jinja.KindString {
		return content.Str()
	}
	var b strings.Builder
	for _, part := range content.Items() {
		if p := part.Dict(); p != nil {
			text, _ := p.Get("text")
			b.WriteString(text.Str())
		}
	}
	return b.String()
}
