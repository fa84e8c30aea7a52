package server

import (
	"context"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// Model is what a server serves. The caller owns its parts and closes them after the
// server's Shutdown.
type Model struct {
	Engine    Engine
	Tokenizer Tokenizer
	Chat      *chat.Format // nil if the model has no chat template
	Info      engine.Info
}

// Engine is what the server needs of an engine.Engine. It is safe for concurrent use.
type Engine interface {
	// Submit queues a request. The error is engine.ErrQueueFull, engine.ErrClosed, a
	// *engine.TooLongError or the engine's fault. The end of ctx cancels the request.
	Submit(ctx context.Context, r engine.Request) (*engine.Stream, error)
	// Embed returns one vector for each input.
	Embed(ctx context.Context, inputs [][]int32) ([][]float32, error)
	Stats() engine.Stats
	// OnStep registers a function that the loop calls after each step.
	OnStep(func(engine.StepStats))
}

// Tokenizer is what the server needs of a tokenizer.Tokenizer. It is safe for
// concurrent use.
type Tokenizer interface {
	Encode(dst []int32, text string, opt tokenizer.EncodeOptions) []int32
	EncodeSegments(dst []int32, segs []tokenizer.Segment) []int32
	Decode(ids []int32, skipSpecial bool) string
	// Stream returns a decoder at the start of a text; with skipSpecial control tokens
	// give nothing.
	Stream(skipSpecial bool) tokenizer.Stream
	// Piece returns the bytes that a token adds to a text; a control token gives its
	// name. It is nil for an id that there is not.
	Piece(id int32) []byte
	IsControl(id int32) bool
	Vocab() int
}

// ModelOf returns an engine's model.
func ModelOf(e *engine.Engine) Model {
	return Model{Engine: e, Tokenizer: e.Tokenizer(), Chat: e.Chat(), Info: e.Info()}
}
