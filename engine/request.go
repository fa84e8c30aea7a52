package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/ingot-llm/ingot/engine/sample"
)

// Errors that Submit returns and callers branch on.
var (
	// ErrQueueFull: the waiting queue is at its bound; try again later.
	ErrQueueFull = errors.New("the waiting queue is full")
	// ErrClosed: the engine is draining or closed.
	ErrClosed = errors.New("the engine is shutting down")
	// ErrNotGenerative: the model is an encoder; it has no next token.
	ErrNotGenerative = errors.New("this model makes embeddings, not text")
	// ErrNoEmbeddings: the model is no encoder.
	ErrNoEmbeddings = errors.New("this model makes text, not embeddings")
)

// InvalidError: what is wrong with a request, whatever the engine's state.
type InvalidError struct{ Err error }

func (e *InvalidError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *InvalidError) Unwrap() error { return e.Err }

// TooLongError: a request that can never fit this engine, whatever the load.
type TooLongError struct {
	PromptTokens, MaxTokens, Limit int
	// What names the limit: "context length" or "KV cache".
	What string
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("the prompt has %d tokens and up to %d are to be generated, together %d, but the %s holds %d: shorten the prompt or lower max_tokens",
		e.PromptTokens, e.MaxTokens, e.PromptTokens+e.MaxTokens, e.What, e.Limit)
}

// FinishReason says why a sequence ended.
type FinishReason string

const (
	FinishNone   FinishReason = ""       // still going
	FinishStop   FinishReason = "stop"   // an end-of-generation token or a stop string or id
	FinishLength FinishReason = "length" // max_tokens or the context's end
	FinishAbort  FinishReason = "abort"  // the caller left or the engine closed
	FinishError  FinishReason = "error"  // Event.Err says what
)

// TokenLogprob is a token with its log-probability over the full vocabulary.
type TokenLogprob struct {
	ID      int32
	Logprob float32
}

// Token is one generated (or prompt) token. Logprob and Top are set if the request
// asked for log-probabilities; Top is sorted by falling Logprob, then rising ID.
type Token struct {
	ID      int32
	Logprob float32
	Top     []TokenLogprob
}

// Event is what happened to one of a request's sequences since the last event.
type Event struct {
	// Index of the sequence, 0 .. N-1.
	Index int
	// Text holds whole runes only; text that may yet become a stop string is held
	// back. Text and Tokens of one event need not cover each other exactly; the
	// concatenations over a stream do (but for a stop string, which is cut off).
	Text   string
	Tokens []Token
	// Finish is set in the last event of a sequence.
	Finish FinishReason
	// StopString is the stop string that matched, and StopID the stop token's id, or
	// -1: set with FinishStop.
	StopString string
	StopID     int32
	// Err is set with FinishError.
	Err error
	// At is when the engine made the event, on the monotonic clock.
	At time.Time
}

// Usage counts the tokens of a request.
type Usage struct {
	PromptTokens     int
	CachedTokens     int // of the prompt, found in the prefix cache
	CompletionTokens int // of all sequences
}

// Timing is when the stations of a request were passed; zero where not yet.
type Timing struct {
	Submitted, Scheduled, FirstToken, Finished time.Time
}

// Request asks for N continuations of a prompt. The engine keeps its slices until the
// request has ended; they are not to be changed before.
type Request struct {
	Prompt   []int32 // token ids, at least one
	Sampling sample.Params
	N        int // sequences sharing the prompt, at least 1
	// MaxTokens to generate for each sequence; 0 computes the prompt only, as scoring
	// with PromptLogprobs needs.
	MaxTokens int
	Stop      []string // end a sequence and are cut off its text
	// KeepSpecial shows control tokens as text, as parsers of tool calls need them; those
	// that end the sequence have no text either way.
	KeepSpecial bool
	// Logprobs asks for each token's log-probability with that many alternatives; -1 for
	// none. PromptLogprobs asks the same of the prompt's tokens.
	Logprobs, PromptLogprobs int
	// ScoreFrom is the first prompt token that PromptLogprobs asks about; what stands before
	// it may come from the prefix cache. 0 and 1 are all, since token 0 has no predecessor.
	ScoreFrom int
	Priority  int    // lower is sooner
	Key       string // whom the tokens are charged to: an API key's name
	Salt      string // prefix-cache isolation: only equal salts share
	Adapter   string // name of the adapter that the model goes with, "" for none
}
