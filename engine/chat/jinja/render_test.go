package jinja

import (
	"sync"
	"testing"
)

// tenTurns is a conversation of ten turns with two tools and a call.
const tenTurns = `{"messages": [
 {"role": "system", "content": "You are a helpful assistant."},
 {"role": "user", "content": "What's the weather in Paris?"},
 {"role": "assistant", "content": "", "tool_calls": [{"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}}]},
 {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "{\"temp\": 21.5}"},
 {"role": "assistant", "content": "It is 21.5 degrees and the sky is clear."},
 {"role": "user", "content": "And what should I wear for a walk along the river in the evening?"},
 {"role": "assistant", "content": "A light jacket will do; evenings by the water are a little cooler."},
 {"role": "user", "content": "Thanks. Please add two and three for me."},
 {"role": "assistant", "content": "That makes five."},
 {"role": "user", "content": "Goodbye!"}],
 "tools": [
 {"type": "function", "function": {"name": "get_weather", "description": "Get the current weather in a city.", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "City name"}, "days": {"type": "integer", "description": "How many days."}}, "required": ["city"]}}},
 {"type": "function", "function": {"name": "add", "description": "Add two numbers.", "parameters": {"type": "object", "properties": {"a": {"type": "number", "description": "First."}, "b": {"type": "number", "description": "Second."}}, "required": ["a", "b"]}}}],
 "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"}`

func TestConcurrentRendering(t *testing.T) {
	tmpl := sharedTemplate(t, "openai-gpt-oss-120b.jinja")
	ctx, err := FromJSON([]byte(tenTurns))
	if err != nil {
		t.Fatal(err)
	}
	want, err := tmpl.Render(ctx, Options{Now: goldenNow})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got, err := tmpl.Render(ctx, Options{Now: goldenNow, Clock: stopped}); err != nil || got != want {
					t.Errorf("got %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkTenTurnsWithTools(b *testing.B) {
	ctx, err := FromJSON([]byte(tenTurns))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"Qwen-Qwen3-0.6B.jinja", "Qwen3.5-4B.jinja", "meta-llama-Llama-3.1-8B-Instruct.jinja", "openai-gpt-oss-120b.jinja", "google-gemma-4-31B-it.jinja"} {
		tmpl := sharedTemplate(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Segments(ctx, Options{Now: goldenNow}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFromJSON(b *testing.B) {
	b.SetBytes(int64(len(tenTurns)))
	for b.Loop() {
		if _, err := FromJSON([]byte(tenTurns)); err != nil {
			b.Fatal(err)
		}
	}
}
