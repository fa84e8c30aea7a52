package corpus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime/debug"

	"github.com/parquet-go/parquet-go"
)

// rows reads the columns of text of a Parquet file, row group by row group.
func rows(path, field string, f *os.File, read func(int64), yield func(Document, error) bool) {
	p, err := openParquet(f, field)
	if err != nil {
		yield(Document{}, fmt.Errorf("cannot read %q: %w", path, err))
		return
	}
	row, told := 0, int64(0)
	for _, group := range p.file.RowGroups() {
		for text, err := range p.documents(group) {
			row++
			var bad *badText
			switch {
			case errors.As(err, &bad):
				err = &DocumentError{path, row, bad.error}
			case err != nil:
				err = fmt.Errorf("cannot read %q from row %d on: %w", path, row, err)
			}
			if !yield(Document{text, row}, err) || err != nil && bad == nil {
				return
			}
		}
		// Other columns are not read: what counts are the rows.
		now := int64(float64(p.size) * float64(row) / float64(max(p.file.NumRows(), 1)))
		read(now - told)
		told = now
	}
}

// badText is what is wrong with one row.
type badText struct{ error }

// parquetFile is an open file and its columns that are wanted.
type parquetFile struct {
	file    *parquet.File
	size    int64
	columns []*parquet.Column
	field   bool // the one column is the document
}

// openParquet opens the columns that hold text, or the one named field.
func openParquet(f *os.File, field string) (*parquetFile, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := &parquetFile{size: info.Size(), field: field != ""}
	if err := checkFooter(f, p.size); err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		p.file, err = parquet.OpenFile(f, p.size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true), parquet.ReadBufferSize(1<<20))
		if err == nil {
			err = p.choose(field)
		}
		return err
	})
	return p, err
}

// checkFooter refuses a footer that does not fit the file, for which the library would
// take memory.
func checkFooter(f io.ReaderAt, size int64) error {
	const frame = 12 // the magic at both ends and the footer's length
	var tail [8]byte
	if size < frame {
		return fmt.Errorf("%d bytes are no Parquet file", size)
	}
	if _, err := f.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:])); string(tail[4:]) != "PAR1" || n > size-frame {
		return fmt.Errorf("no Parquet file, or one that is cut: its end tells of %d bytes of metadata in %d, and %q", n, size, tail[4:])
	}
	return nil
}

func (p *parquetFile) choose(field string) error {
	var names []string
	for _, c := range p.file.Root().Columns() {
		names = append(names, c.Name())
		text := c.Leaf() && !c.Repeated() && c.Type().Kind() == parquet.ByteArray
		switch {
		case c.Name() == field && !text:
			return fmt.Errorf("its column %q holds no text", field)
		case field == "" && (!c.Leaf() || c.Repeated()):
			return fmt.Errorf("its column %q is nested, where conversations are read from flat columns of text: convert it to .jsonl", c.Name())
		case text && (field == "" || c.Name() == field):
			p.columns = append(p.columns, c)
		}
	}
	if len(p.columns) == 0 {
		return fmt.Errorf("it has no column %q of text, but %q", field, names)
	}
	return nil
}

// documents gives the rows of a row group. After an error other than a *badText it ends.
func (p *parquetFile) documents(group parquet.RowGroup) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		cells := make([]cellReader, len(p.columns))
		defer func() {
			for i := range cells {
				cells[i].close()
			}
		}()
		for i, c := range p.columns {
			cells[i].pages = group.ColumnChunks()[c.Index()].Pages()
		}
		var bad *badText
		for range group.NumRows() {
			var text string
			err := guard(func() (err error) {
				text, err = p.row(cells)
				return err
			})
			if !yield(text, err) || err != nil && !errors.As(err, &bad) {
				return
			}
		}
	}
}

// row takes a cell of each column and returns the text of the one that is the document, or
// all texts as an object without those that are missing.
func (p *parquetFile) row(columns []cellReader) (text string, err error) {
	fields := map[string]string{}
	var bad error
	for i, c := range p.columns {
		cell, err := columns[i].next()
		switch {
		case err != nil:
			return "", err
		case !cell.IsNull():
			fields[c.Name()] = string(cell.ByteArray())
			bad = errors.Join(bad, check(cell.ByteArray()))
		case p.field:
			bad = fmt.Errorf("the column %q has no text", c.Name())
		}
	}
	if bad != nil {
		return "", &badText{bad}
	}
	if p.field {
		return fields[p.columns[0].Name()], nil
	}
	return object(fields)
}

// cellReader reads a column of a row group.
type cellReader struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    [64]parquet.Value
	rest   []parquet.Value
}

func (c *cellReader) next() (parquet.Value, error) {
	for len(c.rest) == 0 {
		n := 0
		var err error
		if c.values != nil {
			n, err = c.values.ReadValues(c.buf[:])
		}
		if c.rest = c.buf[:n]; n > 0 {
			break
		}
		if err != nil && err != io.EOF {
			return parquet.Value{}, err
		}
		if err := c.turn(); err != nil {
			return parquet.Value{}, err
		}
	}
	v := c.rest[0]
	c.rest = c.rest[1:]
	return v, nil
}

// turn goes to the next page.
func (c *cellReader) turn() (err error) {
	parquet.Release(c.page)
	c.page, c.values = nil, nil
	if c.page, err = c.pages.ReadPage(); err == io.EOF {
		return errors.New("a column ends before its row group: the file is damaged")
	}
	if err == nil {
		c.values = c.page.Values()
	}
	return err
}

func (c *cellReader) close() {
	_ = guard(func() error {
		parquet.Release(c.page)
		return c.pages.Close()
	})
}

// guard makes what the library says of damage by panics, and by faults where it trusts
// offsets, errors.
func guard(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the file is damaged: %v", r)
		}
	}()
	return work()
}
