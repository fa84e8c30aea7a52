package shard

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/ingot-llm/ingot/quant/atomicfile"
)

// Writer collects documents for one file. One goroutine; Close or Abort ends it.
type Writer struct {
	path   string
	header Header
	spool  *os.File // tokens, as they will lie
	out    *bufio.Writer
	mask   []byte
	ends   []uint64
}

// Create begins the file at path, which appears when Close succeeds. The tokens wait in a
// temporary file beside it.
func Create(path string, vocab int, tokenizer string) (*Writer, error) {
	spool, err := os.CreateTemp(filepath.Dir(path), ".shard.*.tmp")
	if err != nil {
		return nil, fmt.Errorf("cannot write the shard %q: %w", path, err)
	}
	return &Writer{
		path: path, header: Header{Version: version, Vocab: vocab, Tokenizer: tokenizer},
		spool: spool, out: bufio.NewWriterSize(spool, 1<<20),
	}, nil
}

// Tokens returns how many there are so far.
func (w *Writer) Tokens() int64 { return w.header.Tokens }

// Add appends a document that stands for bytes bytes of text. learned, where it is not
// nil, says of each token whether it is learned; nil: all are.
func (w *Writer) Add(tokens []int32, learned []bool, bytes int) error {
	if len(tokens) == 0 {
		return nil
	}
	if learned != nil && !w.header.Masked {
		w.header.Masked = true
		w.mask = ones(w.header.Tokens)
	}
	var b [4]byte
	for i, id := range tokens {
		if id < 0 || int(id) >= w.header.Vocab {
			return fmt.Errorf("token %d, where the vocabulary has %d", id, w.header.Vocab)
		}
		if w.header.Masked {
			w.setMask(w.header.Tokens+int64(i), learned == nil || learned[i])
		}
		binary.LittleEndian.PutUint32(b[:], uint32(id))
		if _, err := w.out.Write(b[:w.header.width()]); err != nil {
			return fmt.Errorf("cannot write the shard %q: %w", w.path, err)
		}
	}
	w.header.Tokens += int64(len(tokens))
	w.header.Documents++
	w.header.Bytes += int64(bytes)
	w.ends = append(w.ends, uint64(w.header.Tokens))
	return nil
}

// ones returns n set bits.
func ones(n int64) []byte {
	mask := make([]byte, n/8, n/8+1)
	for i := range mask {
		mask[i] = 0xff
	}
	if n%8 > 0 {
		mask = append(mask, byte(1<<(n%8)-1))
	}
	return mask
}

func (w *Writer) setMask(i int64, learned bool) {
	if i/8 == int64(len(w.mask)) {
		w.mask = append(w.mask, 0)
	}
	if learned {
		w.mask[i/8] |= 1 << (i % 8)
	}
}

// Close writes the file and returns its header.
func (w *Writer) Close() (Header, error) {
	defer w.Abort()
	err := w.out.Flush()
	if err == nil {
		_, err = w.spool.Seek(0, io.SeekStart)
	}
	if err == nil {
		size := w.header.Tokens*w.header.width() + w.header.maskBytes() + 8*w.header.Documents
		err = atomicfile.Write(w.path, size, w.write)
	}
	if err != nil {
		return w.header, fmt.Errorf("cannot write the shard %q: %w", w.path, err)
	}
	return w.header, nil
}

// Abort gives the documents up. After Close it does nothing.
func (w *Writer) Abort() {
	if w.spool != nil {
		_ = w.spool.Close()
		_ = os.Remove(w.spool.Name())
		w.spool = nil
	}
}

func (w *Writer) write(out io.Writer) error {
	s := &summer{out: out, chunk: sha256.New()}
	head, err := w.header.encode()
	if err != nil {
		return err
	}
	if _, err := s.Write(head); err != nil {
		return err
	}
	if _, err := io.Copy(s, w.spool); err != nil {
		return err
	}
	if _, err := s.Write(w.mask); err != nil {
		return err
	}
	if err := binary.Write(s, binary.LittleEndian, w.ends); err != nil {
		return err
	}
	return s.close()
}

// summer passes bytes on and sums every chunk.
type summer struct {
	out   io.Writer
	chunk hash.Hash
	n     int // bytes in the open chunk
	sums  []byte
}

func (s *summer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part := rest[:min(len(rest), chunkSize-s.n)]
		s.chunk.Write(part)
		if s.n += len(part); s.n == chunkSize {
			s.next()
		}
		rest = rest[len(part):]
	}
	return s.out.Write(p)
}

func (s *summer) next() {
	s.sums = s.chunk.Sum(s.sums)
	s.chunk.Reset()
	s.n = 0
}

func (s *summer) close() error {
	if s.n > 0 {
		s.next()
	}
	all := sha256.Sum256(s.sums)
	_, err := s.out.Write(append(s.sums, all[:]...))
	return err
}
