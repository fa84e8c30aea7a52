// Package server speaks HTTP: OpenAI's API and a few routes of our own over an Engine,
// and a chat page.
//
// The life of a request:
//
//	route     routes.go: one table names every method, path, handler and whether it
//	          needs a key; the raw path decides, once
//	guard     guard.go, auth.go: Host and Origin, drain, API key
//	decode    scan.go refuses malformed JSON; fields.go, check.go hold every field
//	          against one table of limits
//	render    prompt.go: chat template, tokenizer
//	submit    generate.go: Engine.Submit, one stream for each prompt
//	answer    chat.go, completions.go: collected, or streamed by sse.go
//
// A request's context ends when its client leaves (watch_linux.go), when the drain's
// deadline passes, or when its answer is written; the engine then frees its blocks.
//
// Nothing here keeps state between requests but counters.
package server
