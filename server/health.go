package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/valyala/fasthttp"
)

// selfTest makes the server ready once the engine has computed one token or vector.
func (s *Server) selfTest() {
	ctx, cancel := context.WithTimeout(s.base, s.cfg.StallTimeout)
	defer cancel()
	if err := s.tryEngine(ctx); err != nil {
		if s.base.Err() == nil {
			s.log.Error("server: the engine failed its self test; /readyz will not be ready", "error", err)
		}
		return
	}
	s.ready.Store(true)
	s.log.Info("server: ready", "model", s.names[0])
}

func (s *Server) tryEngine(ctx context.Context) error {
	prompt := s.encode("a", true)
	if len(prompt) == 0 {
		prompt = []int32{0}
	}
	if !s.model.Info.Generates {
		_, err := s.model.Engine.Embed(ctx, [][]int32{prompt})
		return err
	}
	sampling := s.model.Info.DefaultSampling
	sampling.Temperature = 0
	stream, err := s.model.Engine.Submit(ctx, engine.Request{Prompt: prompt, Sampling: sampling, N: 1, MaxTokens: 1, Logprobs: -1, PromptLogprobs: -1})
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		ev, err := stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ev.Err
		}
		if err != nil {
			return err
		}
	}
}

// livez answers GET /livez: 503 if the engine's loop, which beats while idle too, has
// been silent for the stall timeout. Overload alone never is.
func (s *Server) livez(ctx *fasthttp.RequestCtx) {
	if d := time.Since(s.model.Engine.Stats().LastStep); d > s.cfg.StallTimeout {
		writeError(ctx, unavailable("stalled", fmt.Sprintf("the engine has made no step for %s", d.Round(time.Second))))
		return
	}
	writeJSON(ctx, []byte(`{"status":"ok"}`))
}

// readyz answers GET /readyz and /health: 503 until the self test passed and from the
// beginning of a drain.
func (s *Server) readyz(ctx *fasthttp.RequestCtx) {
	switch {
	case s.draining.Load():
		writeError(ctx, asError(errDraining))
	case !s.ready.Load():
		writeError(ctx, unavailable("not_ready", "the engine has not passed its self test yet"))
	default:
		writeJSON(ctx, []byte(`{"status":"ok"}`))
	}
}

func unavailable(code, message string) *Error {
	return &Error{Status: fasthttp.StatusServiceUnavailable, Type: "service_unavailable_error", Code: code, Message: message, RetryAfter: 1}
}

// version answers GET /version.
func (s *Server) version(ctx *fasthttp.RequestCtx) {
	marshal(ctx, struct {
		Version string `json:"version"`
	}{s.cfg.Version})
}
