// Package shard keeps tokenized documents in files that training maps and reads at
// random. A file is
//
//	magic    "INGOTSHD"
//	length   u32, of the header
//	header   JSON: Header, padded with spaces so that the tokens begin at a multiple of 64
//	tokens   u16 each where the vocabulary has no more ids than that, else u32
//	trained  one bit a token, lowest bit first: whether it is learned; absent if all are
//	ends     u64 per document: the number of tokens up to its end
//	sums     SHA-256 of each MiB of all the above, the last one shorter, then of the sums
//
// little-endian throughout. Writing is atomic: a file is whole or not there.
package shard

import (
	"encoding/json"
	"fmt"
)

const (
	magic     = "INGOTSHD"
	version   = 1
	align     = 64
	chunkSize = 1 << 20 // bytes that one checksum covers
	sumSize   = 32
	maxHeader = 1 << 20
)

// Header says what a file holds.
type Header struct {
	Version   int    `json:"version"`
	Vocab     int    `json:"vocab"`     // every token is below it
	Tokenizer string `json:"tokenizer"` // Fingerprint of the tokenizer; a model of another one cannot read it
	Tokens    int64  `json:"tokens"`
	Documents int64  `json:"documents"`
	Masked    bool   `json:"masked"` // there are bits that say which tokens are learned
	Bytes     int64  `json:"bytes"`  // of text that the tokens stand for, special tokens excluded
}

// width returns the bytes of a token.
func (h *Header) width() int64 {
	if h.Vocab <= 1<<16 {
		return 2
	}
	return 4
}

func (h *Header) maskBytes() int64 {
	if !h.Masked {
		return 0
	}
	return (h.Tokens + 7) / 8
}

// encode returns what stands before the tokens.
func (h *Header) encode() ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	n := len(magic) + 4 + len(text)
	pad := (n+align-1)/align*align - n
	out := append([]byte(magic), le32(uint32(len(text)+pad))...)
	out = append(out, text...)
	for range pad {
		out = append(out, ' ')
	}
	return out, nil
}

func (h *Header) check() error {
	switch {
	case h.Version != version:
		return fmt.Errorf("version %d, where this program reads %d", h.Version, version)
	case h.Vocab < 1 || h.Tokens < 0 || h.Documents < 0 || h.Documents > h.Tokens || h.Tokens > 1<<48:
		return fmt.Errorf("a header of %d tokens in %d documents of a vocabulary of %d", h.Tokens, h.Documents, h.Vocab)
	}
	return nil
}

func le32(v uint32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)} }
