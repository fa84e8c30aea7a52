package corpus

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/bytedance/sonic"
)

// lines reads objects line by line; a line that is too long is passed over unread.
func lines(path, field string, file io.Reader, yield func(Document, error) bool) {
	in := bufio.NewReaderSize(file, 1<<20)
	var line []byte
	for number := 1; ; number++ {
		var err error
		line, err = readLine(in, line[:0])
		if len(line) == 0 && err == io.EOF {
			return
		}
		if err != nil && err != io.EOF {
			yield(Document{}, fmt.Errorf("cannot read %q after line %d: %w", path, number-1, err))
			return
		}
		if len(bytes.TrimSpace(line)) > 0 {
			text, bad := textOf(line, field)
			if bad != nil {
				bad = &DocumentError{path, number, bad}
			}
			if !yield(Document{text, number}, bad) {
				return
			}
		}
		if err == io.EOF {
			return
		}
	}
}

// readLine appends a line to buf, of which it keeps no more than one byte too many.
func readLine(in *bufio.Reader, buf []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		if room := MaxDocument + 1 - len(buf); room > 0 {
			buf = append(buf, part[:min(len(part), room)]...)
		}
		if err != bufio.ErrBufferFull {
			return buf, err
		}
	}
}

func textOf(line []byte, field string) (string, error) {
	if err := check(line); err != nil {
		return "", err
	}
	if field == "" {
		return string(line), nil
	}
	node, err := sonic.Get(line, field)
	if err != nil {
		return "", fmt.Errorf("no JSON object with the field %q: %w", field, err)
	}
	text, err := node.StrictString()
	if err != nil {
		return "", fmt.Errorf("the field %q is no text", field)
	}
	return text, nil
}
