// Command client drives running ingot servers with the unmodified Go client. The test
// that runs it starts the servers and says in the environment where they are.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// check is one thing that the client must be able to do.
type check struct {
	name string
	run  func(context.Context) error
}

func main() {
	w := newWorld()
	checks := []check{
		{"models", w.models},
		{"chat: answer and stream agree", w.chatStream},
		{"chat: usage in the stream", w.chatUsage},
		{"chat: accumulator", w.chatAccumulator},
		{"chat: log-probabilities", w.chatLogprobs},
		{"chat: n, seed", w.chatChoices},
		{"stop, length", w.stopLength},
		{"completions: string, array, token ids", w.completionPrompts},
		{"completions: echo and log-probabilities", w.completionEcho},
		{"completions: stream", w.completionStream},
		{"many at once answer as one alone", w.manyAtOnce},
		{"embeddings", w.embeddings},
		{"errors by status", w.statuses},
		{"errors: overload, and its retry", w.overload},
		{"abort ends the work", w.abort},
		{"error in mid-stream", w.midStream}, // last, since it ends a server
	}
	failed := 0
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := c.run(ctx); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", c.name, err)
		} else {
			fmt.Printf("ok   %s\n", c.name)
		}
		cancel()
	}
	fmt.Printf("openai-go %s, %s: %d passed, %d failed\n", version(), runtime.Version(), len(checks)-failed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == "github.com/openai/openai-go/v3" {
			return m.Version
		}
	}
	return "unknown"
}

// all joins a check's findings; each is nil where all is well.
func all(findings ...error) error { return errors.Join(findings...) }

// equal is a finding if two values differ.
func equal[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s is %#v, want %#v", what, got, want)
}

// that is a finding if ok is false.
func that(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
