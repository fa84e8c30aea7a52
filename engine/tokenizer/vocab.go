package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// Limits on what a file may ask for.
const (
	maxVocab      = 1 << 20 // tokens
	maxTokenBytes = 4096    // of one token; building takes the square of it
	maxMerges     = 4 << 20
)

// kind is a token's type; the numbers are those of GGUF's tokenizer.ggml.token_type.
type kind uint8

const (
	normal      kind = 1
	unknown     kind = 2
	control     kind = 3
	userDefined kind = 4
	unused      kind = 5
	byteToken   kind = 6
)

// vocab is the list of tokens: their text as the file writes it, their kind, and the
// bytes that each stands for in decoded text.
type vocab struct {
	text   []string
	kind   []kind
	ids    map[string]int32 // by text
	pieces []byte           // all tokens' bytes, one after another
	ends   []uint32         // where each ends in pieces
}

// newVocab checks the texts and kinds (nil: all normal). A text that occurs twice
// belongs to its first id.
func newVocab(text []string, kinds []kind) (*vocab, error) {
	if len(text) == 0 || len(text) > maxVocab {
		return nil, fmt.Errorf("the vocabulary has %d tokens, want 1 to %d", len(text), maxVocab)
	}
	if kinds == nil {
		kinds = slices.Repeat([]kind{normal}, len(text))
	}
	if len(kinds) != len(text) {
		return nil, fmt.Errorf("the vocabulary has %d tokens but %d token types", len(text), len(kinds))
	}
	v := &vocab{text: text, kind: kinds, ids: make(map[string]int32, len(text))}
	for i, s := range text {
		if len(s) > maxTokenBytes {
			return nil, fmt.Errorf("token %d is %d bytes long, more than %d", i, len(s), maxTokenBytes)
		}
		if _, ok := v.ids[s]; !ok {
			v.ids[s] = int32(i)
		}
	}
	return v, nil
}

func (v *vocab) len() int { return len(v.text) }

// id returns the id of a token's text, or -1.
func (v *vocab) id(text string) int32 {
	if id, ok := v.ids[text]; ok {
		return id
	}
	return -1
}

// setPieces fills in what each token stands for.
func (v *vocab) setPieces(piece func(id int32) string) error {
	v.ends = make([]uint32, v.len())
	for i := range v.text {
		v.pieces = append(v.pieces, piece(int32(i))...)
		if len(v.pieces) > 1<<30 {
			return fmt.Errorf("the vocabulary's tokens hold more than 1 GiB of text")
		}
		v.ends[i] = uint32(len(v.pieces))
	}
	return nil
}

// piece returns the bytes of a token that is in range.
func (v *vocab) piece(id int32) []byte {
	start := uint32(0)
	if id > 0 {
		start = v.ends[id-1]
	}
	end := v.ends[id]
	return v.pieces[start:end:end]
}

// byteIDs returns the ids of the tokens <0x00> to <0xFF>, -1 where absent.
func (v *vocab) byteIDs() (ids [256]int32) {
	for b := range ids {
		ids[b] = v.id(fmt.Sprintf("<0x%02X>", b))
	}
	return ids
}

// byteOf returns the byte that a token of the form <0xAB> means.
func byteOf(text string) (byte, bool) {
	if len(text) != 6 || !strings.HasPrefix(text, "<0x") || text[5] != '>' {
		return 0, false
	}
	hi, lo := strings.IndexByte(hexDigits, text[3]), strings.IndexByte(hexDigits, text[4])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

const hexDigits = "0123456789ABCDEF"
