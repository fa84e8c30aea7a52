// Package chat turns messages into a model's prompt and its output back into a message.
//
// A [Format] is the chat template that a model carries, with its bos and eos tokens. Render
// makes the prompt of a conversation. [Format.Parser] is the inverse: it splits generated
// text, as it arrives, into content, reasoning and tool calls, in the syntax of the template's
// [Family].
package chat

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ingot-llm/ingot/engine/chat/jinja"
)

// ErrNoTemplate says that a model comes without a chat template. The caller decides what to
// do; no other template is applied in silence.
var ErrNoTemplate = errors.New("no chat template")

// Segment is a run of the prompt of one origin. See jinja.Segment.
type Segment = jinja.Segment

// Format is the chat format of a model. It is immutable and safe for concurrent use.
type Format struct {
	tmpl         *jinja.Template
	bos, eos     string
	family       Family
	thinks       bool // the template knows <think> blocks
	caps         Caps
	toolsOmitted bool // no tools are no variable, where the template cannot take None
	emptyContent bool // content null is given as "", where the template cannot take None
}

// NewFormat compiles a model's chat template and finds out by trial renderings what it can do.
// It returns ErrNoTemplate for an empty template and a *jinja.Error for one that does not parse.
func NewFormat(template, bos, eos string) (*Format, error) {
	if strings.TrimSpace(template) == "" {
		return nil, ErrNoTemplate
	}
	tmpl, err := jinja.Parse(template)
	if err != nil {
		return nil, err
	}
	f := &Format{tmpl: tmpl, bos: bos, eos: eos, family: detectFamily(template), thinks: strings.Contains(template, "think>")}
	f.probe()
	return f, nil
}

// Caps returns what the template supports.
func (f *Format) Caps() Caps { return f.caps }

// Family returns the syntax in which the model writes reasoning and tool calls.
func (f *Format) Family() Family { return f.family }

// reserved are the variables that Render sets and kwargs may not.
var reserved = []string{"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"}

// Render makes the prompt of a conversation. messages is a list of OpenAI messages and tools a
// list of OpenAI tools or None, both as decoded by jinja.FromJSON; kwargs is a dict of further
// template variables or None. now is what the template sees as the time. Messages are adapted
// to what the template can take: arguments of tool calls become objects, content parts of text
// become one string, and null content becomes "".
//
// The texts of the segments joined are the prompt; control tokens count only in the trusted
// ones. Errors are those of jinja.Template.Render, a *jinja.RaiseError being the template's
// refusal of the conversation.
func (f *Format) Render(messages, tools, kwargs jinja.Value, addGenerationPrompt bool, now time.Time) ([]Segment, error) {
	ctx, err := f.context(f.adapt(messages), tools, kwargs, addGenerationPrompt)
	if err != nil {
		return nil, err
	}
	return f.tmpl.Segments(ctx, jinja.Options{Now: now})
}

func (f *Format) context(messages, tools, kwargs jinja.Value, addGenerationPrompt bool) (jinja.Value, error) {
	d := jinja.NewDict(8)
	if kw := kwargs.Dict(); kw != nil {
		for i := range kw.Len() {
			d.Set(kw.At(i))
		}
	}
	for _, name := range reserved {
		if _, taken := d.Get(name); taken {
			return jinja.Value{}, fmt.Errorf("template variable %q is reserved; give it as a field of the request", name)
		}
	}
	d.Set("messages", messages)
	if len(tools.Items()) > 0 {
		d.Set("tools", tools)
	} else if !f.toolsOmitted {
		d.Set("tools", jinja.None())
	}
	d.Set("add_generation_prompt", jinja.Bool(addGenerationPrompt))
	d.Set("bos_token", jinja.Trusted(f.bos))
	d.Set("eos_token", jinja.Trusted(f.eos))
	return jinja.DictOf(d), nil
}

// Join returns the text of a prompt.
func Join(segments []Segment) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString(s.Text)
	}
	return b.String()
}

// RunRender renders templateSrc with the JSON object that in holds as its whole context and
// writes exactly the rendered text to out. Where the template refuses the context the error is
// a *jinja.RaiseError, whose text is the template's message.
func RunRender(in io.Reader, out io.Writer, templateSrc string, now time.Time) error {
	tmpl, err := jinja.Parse(templateSrc)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("cannot read the context: %w", err)
	}
	ctx, err := jinja.FromJSON(data)
	if err != nil {
		return fmt.Errorf("cannot read the context: %w", err)
	}
	text, err := tmpl.Render(ctx, jinja.Options{Now: now})
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}
