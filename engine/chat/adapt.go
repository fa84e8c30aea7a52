package chat

import (
	"slices"
	"strings"

	"github.com/ingot-llm/ingot/engine/chat/jinja"
)

// adapt rewrites messages into the form the template takes. A message in that form already is
// passed as it is; malformed ones too, for the template to refuse.
func (f *Format) adapt(messages jinja.Value) jinja.Value {
	items := messages.Items()
	if items == nil {
		return messages
	}
	out := make([]jinja.Value, len(items))
	for i, m := range items {
		out[i] = f.adaptMessage(m)
	}
	return jinja.ListOf(out...)
}

func (f *Format) adaptMessage(m jinja.Value) jinja.Value {
	return mapDict(m, func(key string, v jinja.Value) jinja.Value {
		switch key {
		case "role":
			if f.knowsRole(v.Str()) {
				return jinja.Trusted(v.Str())
			}
		case "content":
			return f.adaptContent(v)
		case "tool_calls":
			if f.caps.ObjectArguments {
				return mapList(v, parseArguments)
			}
		}
		return v
	})
}

// roles are the names that templates without comparisons may put into control tokens.
var roles = []string{"system", "user", "assistant", "tool", "developer"}

// knowsRole reports whether a role name may count as the template's own text: it is a plain
// word that the template compares with, or a standard one. Templates build control tokens
// such as <|user|> of it.
func (f *Format) knowsRole(role string) bool {
	return slices.Contains(roles, role) || strings.Trim(role, "abcdefghijklmnopqrstuvwxyz_") == "" && f.tmpl.Compares(role)
}

func (f *Format) adaptContent(v jinja.Value) jinja.Value {
	if v.Kind() == jinja.KindNone && f.emptyContent {
		return jinja.Text("")
	}
	if v.Kind() == jinja.KindList && !f.caps.ContentParts {
		if s, ok := joinParts(v.Items()); ok {
			return jinja.Text(s)
		}
	}
	return v
}

// joinParts joins content parts of text; ok is false where there are others.
func joinParts(parts []jinja.Value) (s string, ok bool) {
	var b strings.Builder
	for _, p := range parts {
		if field(p, "type").Str() != "text" {
			return "", false
		}
		b.WriteString(field(p, "text").Str())
	}
	return b.String(), true
}

// parseArguments gives a tool call whose arguments are a JSON object in a string, as in
// OpenAI's API, the object itself, which most templates want.
func parseArguments(call jinja.Value) jinja.Value {
	return mapDict(call, func(key string, v jinja.Value) jinja.Value {
		if key != "function" {
			return v
		}
		return mapDict(v, func(key string, v jinja.Value) jinja.Value {
			if key == "arguments" && v.Kind() == jinja.KindString {
				if args, err := jinja.FromJSON([]byte(v.Str())); err == nil && args.Kind() == jinja.KindDict {
					return args
				}
			}
			return v
		})
	})
}

// mapDict returns a copy of a dict with its values passed through fn; other values as they are.
func mapDict(v jinja.Value, fn func(key string, v jinja.Value) jinja.Value) jinja.Value {
	d := v.Dict()
	if d == nil {
		return v
	}
	return jinja.DictOf(d.Map(fn))
}

func mapList(v jinja.Value, fn func(jinja.Value) jinja.Value) jinja.Value {
	if v.Kind() != jinja.KindList {
		return v
	}
	out := make([]jinja.Value, len(v.Items()))
	for i, item := range v.Items() {
		out[i] = fn(item)
	}
	return jinja.ListOf(out...)
}

// field returns the value of a key, undefined where v is no dict or lacks it.
func field(v jinja.Value, key string) jinja.Value {
	if d := v.Dict(); d != nil {
		got, _ := d.Get(key)
		return got
	}
	return jinja.Value{}
}
