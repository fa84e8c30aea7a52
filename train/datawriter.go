package train

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/train/shard"
)

// writer writes one part, shard after shard.
type writer struct {
	dir, prefix, fingerprint string
	vocab                    int
	most                     int64
	part                     *part
	open                     *shard.Writer
}

func (w *writer) add(ids []int32, learned []bool, bytes int) error {
	if w.open != nil && w.open.Tokens()+int64(len(ids)) > w.most {
		if err := w.close(); err != nil {
			return err
		}
	}
	if w.open == nil {
		if err := os.MkdirAll(w.dir, 0o755); err != nil {
			return err
		}
		s, err := shard.Create(filepath.Join(w.dir, fmt.Sprintf("%s%05d.shard", w.prefix, w.part.Shards)), w.vocab, w.fingerprint)
		if err != nil {
			return err
		}
		w.open = s
	}
	return w.open.Add(ids, learned, bytes)
}

func (w *writer) close() error {
	if w.open == nil {
		return nil
	}
	h, err := w.open.Close()
	w.open = nil
	w.part.Documents, w.part.Tokens, w.part.Bytes = w.part.Documents+h.Documents, w.part.Tokens+h.Tokens, w.part.Bytes+h.Bytes
	w.part.Shards++
	return err
}

func (w *writer) abort() {
	if w.open != nil {
		w.open.Abort()
	}
}

// fingerprint tells tokenizers apart: the hash of every id's text.
func fingerprint(t *tokenizer.Tokenizer) string {
	h := sha256.New()
	for id := range t.Vocab() {
		fmt.Fprintf(h, "%q\n", t.Piece(int32(id)))
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}
