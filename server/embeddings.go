package server

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/valyala/fasthttp"
)

// embed answers POST /v1/embeddings.
func (s *Server) embed(ctx *fasthttp.RequestCtx) {
	b, bad := s.readBody(ctx, BodyEmbedding)
	if bad == nil {
		bad = s.checkEmbedding(b)
	}
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	inputs, bad := s.prompts(b, "input")
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	vectors, tokens, err := s.vectors(ctx, inputs)
	if err != nil {
		s.fail(ctx, err)
		return
	}
	writeJSON(ctx, appendEmbeddings(nil, s.names[0], vectors, tokens, b.text("encoding_format") == "base64"))
}

func (s *Server) checkEmbedding(b *body) *Error {
	if err := s.checkModel(b); err != nil {
		return err
	}
	if err := can(s.model.Info.Embeds, "embed text"); err != nil {
		return err
	}
	if b.has("dimensions") && int(b.integer("dimensions")) != s.model.Info.EmbeddingDim {
		return invalid("dimensions", "unsupported_parameter", "dimensions must be %d: this model's vectors cannot be shortened", s.model.Info.EmbeddingDim)
	}
	return nil
}

// vectors embeds the inputs; a client that leaves ends it.
func (s *Server) vectors(ctx *fasthttp.RequestCtx, inputs []prompt) (vectors [][]float32, tokens int, err error) {
	call, done := s.watched(ctx)
	defer done()
	ids := make([][]int32, len(inputs))
	for i, in := range inputs {
		ids[i] = in.ids
		tokens += len(in.ids)
	}
	vectors, err = s.model.Engine.Embed(call, ids)
	return vectors, tokens, cause(call, err)
}

func appendEmbeddings(dst []byte, model string, vectors [][]float32, tokens int, packed bool) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, v := range vectors {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"object":"embedding","index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `,"embedding":`...)
		dst = append(appendVector(dst, v, packed), '}')
	}
	dst = appendString(append(dst, `],"model":`...), model)
	dst = append(dst, `,"usage":{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, int64(tokens), 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, int64(tokens), 10)
	return append(dst, `}}`...)
}

// appendVector writes numbers, or base64 of little-endian float32.
func appendVector(dst []byte, v []float32, packed bool) []byte {
	if packed {
		raw := make([]byte, 0, 4*len(v))
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), raw)
		return append(dst, '"')
	}
	dst = append(dst, '[')
	for i, x := range v {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(x), 'g', -1, 32)
	}
	return append(dst, ']')
}
