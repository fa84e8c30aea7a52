// Package dedup finds documents that came before. What is kept of a document is a few
// numbers, made from its text alone by any goroutine; an index takes them one after the
// other and is used by one goroutine.
//
// An index's memory is bounded. When it is full it takes in no more, and later documents
// are compared with those that it has: Full tells so.
package dedup

import (
	"crypto/sha256"
	"encoding/binary"
)

// Key stands for a text. The chance that any two of 10^9 texts share one is 3 %.
type Key uint64

// KeyOf returns the first 64 bits of the text's SHA-256.
func KeyOf(text string) Key {
	sum := sha256.Sum256([]byte(text))
	return Key(binary.LittleEndian.Uint64(sum[:]))
}
