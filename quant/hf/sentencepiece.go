package hf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
)

// spModel is what a SentencePiece file (tokenizer.model, a protocol buffer) says.
type spModel struct {
	pieces             []string
	scores             []float32
	types              []int32 // GGUF has SentencePiece's numbers
	kind               uint64
	unk, bos, eos, pad int32
	byteFallback       bool
	charsmap           []byte
	addPrefix          bool
	removeSpaces       bool
}

// SentencePiece's numbers of kinds of model, and GGUF's type of an unused token.
const (
	spUnigram   = 1
	spBPE       = 2
	unusedToken = 5
)

// maxPieces bounds a vocabulary.
const maxPieces = 1 << 20

// readSentencePiece puts a directory's tokenizer.model into the metadata as GGUF's
// arrays, for a model without a tokenizer.json. The file may be absent.
func readSentencePiece(dir string, m *quant.Meta) error {
	path := filepath.Join(dir, "tokenizer.model")
	raw, err := readText(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := parseSentencePiece(raw)
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", path, err)
	}
	s.put(m)
	return nil
}

func parseSentencePiece(raw []byte) (*spModel, error) {
	s := &spModel{kind: spUnigram, unk: 0, bos: 1, eos: 2, pad: -1, addPrefix: true, removeSpaces: true}
	r := bounds.NewReader("SentencePiece model", raw)
	message(r, func(field int, v protoValue) {
		switch field {
		case 1:
			s.piece(r, v.bytes)
		case 2:
			submessage(r, "trainer_spec", v.bytes, s.trainer)
		case 3:
			submessage(r, "normalizer_spec", v.bytes, s.normalizer)
		}
	})
	if r.Err() == nil && (len(s.pieces) == 0 || s.kind != spUnigram && s.kind != spBPE) {
		r.Fail("model", "it has %d pieces and kind %d, want a BPE or Unigram vocabulary", len(s.pieces), s.kind)
	}
	return s, r.Err()
}

// piece reads one entry of the vocabulary.
func (s *spModel) piece(r *bounds.Reader, raw []byte) {
	if len(s.pieces) == maxPieces {
		r.Fail("pieces", "there are over %d", maxPieces)
		return
	}
	text, score, kind := "", float32(0), int32(1)
	submessage(r, "piece", raw, func(field int, v protoValue) {
		switch field {
		case 1:
			text = string(v.bytes)
		case 2:
			score = math.Float32frombits(uint32(v.number))
		case 3:
			kind = int32(v.number)
		}
	})
	s.pieces, s.scores, s.types = append(s.pieces, text), append(s.scores, score), append(s.types, kind)
}

func (s *spModel) trainer(field int, v protoValue) {
	switch field {
	case 3:
		s.kind = v.number
	case 35:
		s.byteFallback = v.number != 0
	case 40:
		s.unk = int32(v.number)
	case 41:
		s.bos = int32(v.number)
	case 42:
		s.eos = int32(v.number)
	case 43:
		s.pad = int32(v.number)
	}
}

func (s *spModel) normalizer(field int, v protoValue) {
	switch field {
	case 2:
		s.charsmap = v.bytes
	case 3:
		s.addPrefix = v.number != 0
	case 4:
		s.removeSpaces = v.number != 0
	}
}

// protoValue is a field's value in a protocol buffer: a number of any width, or bytes.
type protoValue struct {
	number uint64
	bytes  []byte
}

// message calls field for each field of a protocol buffer.
func message(r *bounds.Reader, field func(number int, v protoValue)) error {
	for r.Left() > 0 && r.Err() == nil {
		tag := varint(r)
		var v protoValue
		switch tag & 7 {
		case 0:
			v.number = varint(r)
		case 1:
			v.number = r.U64("64-bit field")
		case 2:
			v.bytes = r.Bytes("length-delimited field", varint(r))
		case 5:
			v.number = uint64(r.U32("32-bit field"))
		default:
			r.Fail("field", "wire type %d is unknown", tag&7)
		}
		if r.Err() == nil {
			field(int(tag>>3), v)
		}
	}
	return r.Err()
}

// submessage reads a message inside another, r's; its failure is r's too.
func submessage(r *bounds.Reader, name string, raw []byte, field func(number int, v protoValue)) {
	if err := message(bounds.NewReader("SentencePiece model", raw), field); err != nil {
		r.Fail(name, "%v", err)
	}
}

func varint(r *bounds.Reader) uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		b := r.U8("varint")
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.Fail("varint", "it is longer than 10 bytes")
	return 0
}

// put sets GGUF's tokenizer keys. A vocabulary shorter than the embedding is filled up
// with unused tokens, as llama.cpp does.
func (s *spModel) put(m *quant.Meta) {
	rows := min(m.Int(m.String("general.architecture", "")+".vocab_size", 0), maxPieces)
	for i := len(s.pieces); i < rows; i++ {
		s.pieces, s.scores, s.types = append(s.pieces, fmt.Sprintf("[PAD%d]", i)), append(s.scores, -10000), append(s.types, unusedToken)
	}
	kind := "llama"
	if s.kind == spUnigram {
		kind = "t5"
		m.Set("tokenizer.ggml.remove_extra_whitespaces", s.removeSpaces)
		if len(s.charsmap) > 0 {
			m.Set("tokenizer.ggml.precompiled_charsmap", append([]uint8{}, s.charsmap...))
		}
	}
	m.Set("tokenizer.ggml.model", kind)
	m.Set("tokenizer.ggml.pre", "default")
	m.Set("tokenizer.ggml.tokens", s.pieces)
	m.Set("tokenizer.ggml.scores", s.scores)
	m.Set("tokenizer.ggml.token_type", s.types)
	m.Set("tokenizer.ggml.add_space_prefix", s.addPrefix)
	for _, id := range []struct {
		key string
		id  int32
	}{{"unknown", s.unk}, {"bos", s.bos}, {"eos", s.eos}, {"padding", s.pad}} {
		if id.id >= 0 {
			m.Set(idKey(id.key), uint32(id.id))
		}
	}
}

// sentencePiece returns a tokenizer.model of GGUF's arrays, nil where the model has
// another kind of tokenizer.
func sentencePiece(m *quant.Meta) []byte {
	tokens, scores, types := m.Strings("tokenizer.ggml.tokens"), m.Floats("tokenizer.ggml.scores"), m.Ints("tokenizer.ggml.token_type")
	kind, ok := map[string]uint64{"llama": spBPE, "t5": spUnigram}[m.String("tokenizer.ggml.model", "")]
	if !ok || len(tokens) == 0 || len(scores) != len(tokens) || len(types) != len(tokens) {
		return nil
	}
	var out []byte
	bytesOf := 0
	for i, t := range tokens {
		var p []byte
		p = appendBytes(p, 1, []byte(t))
		p = binary.LittleEndian.AppendUint32(append(p, 2<<3|5), math.Float32bits(scores[i]))
		p = appendNumber(p, 3, uint64(types[i]))
		out = appendBytes(out, 1, p)
		if types[i] == 6 {
			bytesOf++
		}
	}
	return appendBytes(appendBytes(out, 2, trainerSpec(m, kind, bytesOf > 0)), 3, normalizerSpec(m))
}

func trainerSpec(m *quant.Meta, kind uint64, byteFallback bool) []byte {
	b := appendNumber(nil, 3, kind)
	if byteFallback {
		b = appendNumber(b, 35, 1)
	}
	for i, key := range []string{"unknown", "bos", "eos", "padding"} {
		b = appendNumber(b, 40+i, uint64(int64(m.Int(idKey(key), -1))))
	}
	return b
}

func normalizerSpec(m *quant.Meta) []byte {
	b := appendBytes(nil, 1, []byte("identity"))
	if c, ok := m.Get("tokenizer.ggml.precompiled_charsmap").([]uint8); ok {
		b = appendBytes(b, 2, c)
	}
	b = appendNumber(b, 3, flagBit(m.Bool("tokenizer.ggml.add_space_prefix", true)))
	return appendNumber(b, 4, flagBit(m.Bool("tokenizer.ggml.remove_extra_whitespaces", false)))
}

func flagBit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func appendNumber(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3), v)
}

func appendBytes(b []byte, field int, v []byte) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3|2), uint64(len(v)))
	return append(b, v...)
}
