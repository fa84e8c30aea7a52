package corpus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// records reads CSV (RFC 4180) whose first record names the columns. Of a record that is
// too long nothing is kept. A damaged one ends with the line where that shows: a quote that
// is never closed costs the records up to the next quote.
func records(path, field string, file io.Reader, yield func(Document, error) bool) {
	r := &csvReader{in: bufio.NewReaderSize(file, 1<<20)}
	names, err := r.header()
	column := slices.Index(names, field)
	if err == nil && field != "" && column < 0 {
		err = fmt.Errorf("its first record names no column %q, but %q", field, names)
	}
	if err != nil {
		yield(Document{}, fmt.Errorf("cannot read %q: %w", path, err))
		return
	}
	for {
		line, err := r.next()
		if err == io.EOF {
			return
		}
		if damage := csvError(""); err != nil && !errors.As(err, &damage) {
			yield(Document{}, fmt.Errorf("cannot read %q after line %d: %w", path, r.line, err))
			return
		}
		var text string
		if err == nil {
			text, err = r.document(names, column)
		}
		if err != nil {
			err = &DocumentError{path, line, err}
		}
		if !yield(Document{text, line}, err) {
			return
		}
	}
}

// csvError is damage to one record.
type csvError string

func (e csvError) Error() string { return string(e) }

// csvReader reads a record at a time.
type csvReader struct {
	in   *bufio.Reader
	raw  []byte // a line as it stands
	line int    // lines read
	text []byte // of the record's fields, at most MaxDocument+1 bytes
	ends []int  // of each in text
}

func (r *csvReader) header() ([]string, error) {
	if mark, _ := r.in.Peek(3); string(mark) == "\ufeff" {
		_, _ = r.in.Discard(3)
	}
	if _, err := r.next(); err != nil {
		return nil, fmt.Errorf("it does not begin with the names of its columns: %w", err)
	}
	names := make([]string, len(r.ends))
	for i := range names {
		names[i] = string(r.field(i))
	}
	return names, nil
}

func (r *csvReader) field(i int) []byte {
	from := 0
	if i > 0 {
		from = r.ends[i-1]
	}
	return r.text[from:r.ends[i]]
}

// document returns the record's field in column, or all as an object if that is -1.
func (r *csvReader) document(names []string, column int) (string, error) {
	if len(r.ends) != len(names) {
		return "", fmt.Errorf("a record of %d fields, where the first has %d", len(r.ends), len(names))
	}
	if column >= 0 {
		return string(r.field(column)), check(r.field(column))
	}
	if err := check(r.text); err != nil {
		return "", err
	}
	fields := map[string]string{}
	for i, name := range names {
		fields[name] = string(r.field(i))
	}
	return object(fields)
}

// object returns texts by their names as JSON.
func object(fields map[string]string) (string, error) {
	text, err := json.Marshal(fields)
	return string(text), err
}

// next reads a record and returns the line where it begins. A csvError is damage to it
// alone; io.EOF comes after the last.
func (r *csvReader) next() (line int, err error) {
	r.text, r.ends = r.text[:0], r.ends[:0]
	rest := []byte("\n")
	for len(rest) == 1 && rest[0] == '\n' { // lines without a record
		if rest, err = r.readLine(); err != nil {
			return r.line, err
		}
	}
	line = r.line
	for {
		if rest[0] == '"' {
			rest, err = r.quoted(rest[1:])
		} else {
			rest, err = r.bare(rest)
		}
		if err != nil {
			return line, err
		}
		r.ends = append(r.ends, len(r.text))
		if rest[0] == '\n' {
			return line, tooLong(len(r.text), "record")
		}
		rest = rest[1:]
	}
}

// bare takes a field without quotes from the rest of a line and returns what follows it.
func (r *csvReader) bare(rest []byte) ([]byte, error) {
	n := bytes.IndexByte(rest, ',')
	if n < 0 {
		n = len(rest) - 1
	}
	if bytes.IndexByte(rest[:n], '"') >= 0 {
		return nil, csvError("a quote within a field that does not begin with one")
	}
	r.add(rest[:n])
	return rest[n:], nil
}

// quoted takes the field that a quote began, which may go on in the next lines.
func (r *csvReader) quoted(rest []byte) ([]byte, error) {
	for {
		n := bytes.IndexByte(rest, '"')
		if n < 0 {
			r.add(rest)
			var err error
			if rest, err = r.readLine(); err == io.EOF {
				err = csvError("a quote is not closed")
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		r.add(rest[:n])
		switch rest = rest[n+1:]; rest[0] {
		case ',', '\n':
			return rest, nil
		case '"':
			r.add(rest[:1])
			rest = rest[1:]
		default:
			return nil, csvError("a quote within a field that is not doubled")
		}
	}
}

// add appends to the record's text, of which it keeps no more than one byte too many.
func (r *csvReader) add(part []byte) {
	r.text = append(r.text, part[:min(len(part), MaxDocument+1-len(r.text))]...)
}

// readLine reads a line and makes its end a newline, which the file's last may lack.
func (r *csvReader) readLine() (line []byte, err error) {
	r.raw, err = readLine(r.in, r.raw[:0])
	if len(r.raw) == 0 || err != nil && err != io.EOF {
		return nil, err
	}
	r.line++
	if err := tooLong(len(r.raw), "line"); err != nil {
		return nil, err
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(r.raw, []byte("\n")), []byte("\r"))
	return append(line, '\n'), nil
}

func tooLong(n int, what string) error {
	if n > MaxDocument {
		return csvError(fmt.Sprintf("a %s of more than %d MiB", what, MaxDocument>>20))
	}
	return nil
}
