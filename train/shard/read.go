package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/ingot-llm/ingot/quant/mmap"
)

// Shard is an open file. It is safe for concurrent use until Close.
type Shard struct {
	Path   string
	Header Header
	file   *mmap.File
	tokens []byte
	mask   []byte
	ends   []byte
}

// Open maps the file at path and checks its form; Verify checks its bytes.
func Open(path string) (*Shard, error) {
	file, err := mmap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the shard: %w", err)
	}
	s := &Shard{Path: path, file: file}
	if err := s.parse(file.Bytes()); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%q is no token shard: %w", path, err)
	}
	return s, nil
}

// Close unmaps the file.
func (s *Shard) Close() error { return s.file.Close() }

func (s *Shard) parse(data []byte) error {
	const fixed = len(magic) + 4
	if len(data) < fixed || string(data[:len(magic)]) != magic {
		return fmt.Errorf("it does not begin with %q", magic)
	}
	n := int64(binary.LittleEndian.Uint32(data[len(magic):]))
	if n > maxHeader || int64(len(data)) < int64(fixed)+n {
		return fmt.Errorf("its header has %d bytes", n)
	}
	if err := json.Unmarshal(data[fixed:int64(fixed)+n], &s.Header); err != nil {
		return fmt.Errorf("its header is damaged: %w", err)
	}
	h := &s.Header
	if err := h.check(); err != nil {
		return err
	}
	at := int64(fixed) + n
	body := at + h.Tokens*h.width() + h.maskBytes() + 8*h.Documents
	if want := body + sumsBytes(body); int64(len(data)) != want {
		return fmt.Errorf("it has %d bytes, where its header says %d", len(data), want)
	}
	s.tokens = data[at:][:h.Tokens*h.width()]
	s.mask = data[at+h.Tokens*h.width():][:h.maskBytes()]
	s.ends = data[body-8*h.Documents : body]
	return s.checkEnds()
}

// checkEnds checks that the documents' ends ascend to the last token.
func (s *Shard) checkEnds() error {
	last := int64(0)
	for d := range s.Header.Documents {
		end := int64(binary.LittleEndian.Uint64(s.ends[8*d:]))
		if end <= last || end > s.Header.Tokens {
			return fmt.Errorf("document %d ends at token %d, after one that ends at %d, of %d", d, end, last, s.Header.Tokens)
		}
		last = end
	}
	if last != s.Header.Tokens {
		return fmt.Errorf("its last document ends at token %d of %d", last, s.Header.Tokens)
	}
	return nil
}

// sumsBytes returns the size of the checksums of n bytes.
func sumsBytes(n int64) int64 { return (n+chunkSize-1)/chunkSize*sumSize + sumSize }

// Verify reads the whole file and compares its checksums; the error names the place.
func (s *Shard) Verify() error {
	data := s.file.Bytes()
	n := int64(len(data))
	chunks := (n - sumSize + chunkSize + sumSize - 1) / (chunkSize + sumSize)
	body := n - sumSize - chunks*sumSize
	sums := data[body : n-sumSize]
	if all := sha256.Sum256(sums); !bytes.Equal(all[:], data[n-sumSize:]) {
		return fmt.Errorf("%q is damaged: its list of checksums has another sum", s.Path)
	}
	for i := range chunks {
		end := min(body, (i+1)*chunkSize)
		if sum := sha256.Sum256(data[i*chunkSize : end]); !bytes.Equal(sum[:], sums[i*sumSize:][:sumSize]) {
			return fmt.Errorf("%q is damaged: bytes %d to %d have another checksum", s.Path, i*chunkSize, end-1)
		}
	}
	return nil
}

// Documents returns the number of documents.
func (s *Shard) Documents() int { return int(s.Header.Documents) }

// Len returns the number of tokens of document d.
func (s *Shard) Len(d int) int {
	from, to := s.span(d)
	return int(to - from)
}

func (s *Shard) span(d int) (from, to int64) {
	if d > 0 {
		from = int64(binary.LittleEndian.Uint64(s.ends[8*(d-1):]))
	}
	return from, int64(binary.LittleEndian.Uint64(s.ends[8*d:]))
}

// Read appends tokens from ... to-1 of document d to ids, and to learned whether each is
// learned.
func (s *Shard) Read(d, from, to int, ids []int32, learned []bool) ([]int32, []bool) {
	first, _ := s.span(d)
	width := s.Header.width()
	for i := first + int64(from); i < first+int64(to); i++ {
		if width == 2 {
			ids = append(ids, int32(binary.LittleEndian.Uint16(s.tokens[2*i:])))
		} else {
			ids = append(ids, int32(binary.LittleEndian.Uint32(s.tokens[4*i:])))
		}
		learned = append(learned, !s.Header.Masked || s.mask[i/8]>>(i%8)&1 == 1)
	}
	return ids, learned
}
