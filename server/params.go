package server

import (
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/sample"
)

// request reads what chat and text completions share; the prompt, the length and the
// log-probabilities are the caller's.
func (s *Server) request(b *body, key string) (engine.Request, *Error) {
	r := engine.Request{
		N:              int(b.integer("n")),
		Stop:           b.texts("stop"),
		Logprobs:       -1,
		PromptLogprobs: -1,
		Priority:       int(b.integer("priority")),
		Key:            key,
		// Timing must not tell one key what another one asked.
		Salt: key + "\x00" + b.text("cache_salt"),
	}
	err := s.checkModel(b)
	if err != nil {
		return r, err
	}
	if name := b.text("model"); s.isAdapter(name) {
		r.Adapter = name
	}
	r.Sampling, err = s.sampling(b)
	return r, err
}

func (s *Server) sampling(b *body) (sample.Params, *Error) {
	p := s.model.Info.DefaultSampling
	for _, f := range []struct {
		name  string
		value *float32
	}{
		{"temperature", &p.Temperature}, {"top_p", &p.TopP}, {"min_p", &p.MinP}, {"typical_p", &p.TypicalP},
		{"repetition_penalty", &p.RepetitionPenalty}, {"presence_penalty", &p.PresencePenalty}, {"frequency_penalty", &p.FrequencyPenalty},
	} {
		if b.has(f.name) {
			*f.value = float32(b.number(f.name))
		}
	}
	if b.has("top_k") {
		p.TopK = max(0, int(b.integer("top_k")))
	}
	p.Seed = rand.Uint64()
	if b.has("seed") {
		p.Seed = uint64(b.integer("seed"))
	}
	p.MinTokens = int(b.integer("min_tokens"))
	p.IgnoreEOS = b.boolean("ignore_eos")
	p.StopIDs = b.ids("stop_token_ids")
	if err := s.checkVocab("stop_token_ids", p.StopIDs); err != nil {
		return p, err
	}
	var err *Error
	p.LogitBias, err = s.logitBias(b)
	return p, err
}

func (s *Server) logitBias(b *body) ([]sample.Bias, *Error) {
	raw := b.raw("logit_bias")
	if raw == nil {
		return nil, nil
	}
	var bias []sample.Bias
	for _, m := range scanMembers(raw) {
		id, _ := strconv.ParseInt(m.name, 10, 32)
		if slices.ContainsFunc(bias, func(have sample.Bias) bool { return have.Token == int32(id) }) {
			return nil, invalid("logit_bias", "invalid_value", "logit_bias names the token %d twice", id)
		}
		if err := s.checkVocab("logit_bias", []int32{int32(id)}); err != nil {
			return nil, err
		}
		bias = append(bias, sample.Bias{Token: int32(id), Value: float32(mustFloat(m.value))})
	}
	return bias, nil
}

// setLength bounds a request's answer and holds min_tokens against it.
func setLength(r *engine.Request, maxTokens int) *Error {
	r.MaxTokens = maxTokens
	if r.Sampling.MinTokens > maxTokens {
		return invalid("min_tokens", "invalid_value", "min_tokens is %d, but max_tokens is %d", r.Sampling.MinTokens, maxTokens)
	}
	return nil
}

// streamOptions are the members of stream_options.
type streamOptions struct{ usage, obfuscate bool }

// streamOptions reads stream and its options.
func (s *Server) streamOptions(b *body) (stream bool, o streamOptions, err *Error) {
	stream = b.boolean("stream")
	raw := b.raw("stream_options")
	if raw == nil {
		return stream, o, nil
	}
	if !stream {
		return stream, o, invalid("stream_options", "invalid_value", "stream_options needs stream")
	}
	for _, m := range scanMembers(raw) {
		at := "stream_options." + clip([]byte(m.name))
		var target *bool
		switch m.name {
		case "include_usage":
			target = &o.usage
		case "include_obfuscation":
			target = &o.obfuscate
		case "continuous_usage_stats":
			if c := m.value[0]; c == 'n' || c == 'f' {
				continue
			}
			return stream, o, invalid(at, "unsupported_parameter", "%s is not supported", at)
		default:
			return stream, o, invalid(at, "unknown_parameter", "there is no field %q here", at)
		}
		switch m.value[0] {
		case 't':
			*target = true
		case 'f', 'n':
		default:
			return stream, o, invalid(at, "invalid_type", "%s must be true or false", at)
		}
	}
	return stream, o, nil
}

// checkModel refuses names that are neither the served model's nor an adapter's.
func (s *Server) checkModel(b *body) *Error {
	if !b.has("model") || s.serves(b.text("model")) {
		return nil
	}
	return modelNotFound(b.text("model"))
}

func (s *Server) serves(name string) bool {
	return slices.Contains(s.names, name) || s.isAdapter(name)
}

func modelNotFound(name string) *Error {
	return &Error{Status: 404, Type: "invalid_request_error", Param: "model", Code: "model_not_found",
		Message: "there is no model " + strconv.Quote(clip([]byte(name))) + " here: GET /v1/models lists what is served"}
}

// can refuses what the model is not made for.
func can(ability bool, what string) *Error {
	if ability {
		return nil
	}
	return invalid("model", "model_not_supported", "this model cannot %s", what)
}
