package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/chat/jinja"
)

// tenTurns is a conversation of five turns of the user and five of the assistant, each of
// which calls a tool; the last call has its result and waits for the answer. With the
// system's message it has 20 messages.
func tenTurns(b *testing.B) (messages, tools jinja.Value) {
	list := []string{`{"role":"system","content":"You are a helpful assistant that answers questions about the weather and books hotels."}`}
	for i := range 5 {
		list = append(list,
			fmt.Sprintf(`{"role":"user","content":"What is the weather like in city number %d today, and would I need an umbrella when I go out in the afternoon?"}`, i),
			fmt.Sprintf(`{"role":"assistant","content":"","tool_calls":[{"id":"call0000%d","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"City %d\",\"unit\":\"celsius\"}"}}]}`, i, i),
			fmt.Sprintf(`{"role":"tool","tool_call_id":"call0000%d","name":"get_weather","content":"{\"temperature\":%d,\"rain\":false,\"wind\":\"light\"}"}`, i, 10+i),
			fmt.Sprintf(`{"role":"assistant","content":"It is %d degrees and dry in city number %d, with a light wind, so that you will not need an umbrella."}`, 10+i, i))
	}
	var offered []string
	for _, name := range []string{"get_weather", "get_forecast", "find_hotel", "book_hotel"} {
		offered = append(offered, `{"type":"function","function":{"name":"`+name+`","description":"Get the current weather of a city, or what else this tool does.","parameters":{"type":"object","properties":{"city":{"type":"string","description":"The name of the city"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city"]}}}`)
	}
	return value(b, "["+strings.Join(list[:len(list)-1], ",")+"]"), value(b, "["+strings.Join(offered, ",")+"]")
}

// BenchmarkRender renders ten turns with tools by every template that can offer them.
func BenchmarkRender(b *testing.B) {
	messages, tools := tenTurns(b)
	for _, name := range sharedTemplates(b) {
		f := sharedFormat(b, name)
		if _, err := f.Render(messages, tools, jinja.None(), true, goldenNow); err != nil || !f.Caps().Tools {
			continue
		}
		b.Run(strings.TrimSuffix(name, ".jinja"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Render(messages, tools, jinja.None(), true, goldenNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
