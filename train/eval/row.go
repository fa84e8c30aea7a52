package eval

import (
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strconv"

	"github.com/bytedance/sonic"

	"github.com/ingot-llm/ingot/train/corpus"
)

// row is a line's object.
type row map[string]any

var strict = sonic.Config{UseInt64: true, CopyString: true, ValidateString: true}.Froze()

// rows gives what read makes of each line of a file of JSON lines. A line that is no object,
// or that read refuses, is a *corpus.DocumentError, after which the next follows; any other
// error ends the file.
func rows[T any](path string, read func(row) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for line, err := range corpus.Read(path, "", nil) {
			var out T
			if err == nil {
				if out, err = readRow(line.Text, read); err != nil {
					err = &corpus.DocumentError{Path: path, Line: line.Line, Err: err}
				}
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func readRow[T any](line string, read func(row) (T, error)) (out T, err error) {
	r, err := parseRow(line)
	if err != nil {
		return out, err
	}
	return read(r)
}

func parseRow(line string) (row, error) {
	var r row
	if err := strict.UnmarshalFromString(line, &r); err != nil {
		return nil, errors.New("no JSON object")
	}
	if r == nil {
		return nil, errors.New("null is no row")
	}
	return r, nil
}

// text returns a field that is text or a number.
func (r row) text(field string) (string, error) { return show(field, r[field]) }

func show(field string, value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case nil:
		return "", fmt.Errorf("the field %q is missing", field)
	}
	return "", fmt.Errorf("the field %q is neither text nor a number", field)
}

// list returns a field that is a list of texts.
func (r row) list(field string) ([]string, error) {
	values, ok := r[field].([]any)
	if !ok || len(values) == 0 {
		return nil, fmt.Errorf("the field %q is no list of texts", field)
	}
	out := make([]string, len(values))
	for i, v := range values {
		text, err := show(fmt.Sprintf("%s.%d", field, i), v)
		if err != nil {
			return nil, err
		}
		out[i] = text
	}
	return out, nil
}

// index returns a field that counts below n.
func (r row) index(field string, n int) (int, error) {
	i, ok := r[field].(int64)
	if !ok || i < 0 || i >= int64(n) {
		return 0, fmt.Errorf("the field %q is %v, want a number from 0 to %d", field, r[field], n-1)
	}
	return int(i), nil
}

// placeholder is {field}, or {field.2} for an element of a list.
var placeholder = regexp.MustCompile(`\{([a-z_]+)(?:\.([0-9]))?\}`)

// fill puts a row's fields in the places that a template has for them.
func (r row) fill(template string) (string, error) {
	var failed error
	out := placeholder.ReplaceAllStringFunc(template, func(place string) string {
		name := placeholder.FindStringSubmatch(place)
		text, err := r.element(name[1], name[2])
		failed = errors.Join(failed, err)
		return text
	})
	return out, failed
}

func (r row) element(field, index string) (string, error) {
	if index == "" {
		return r.text(field)
	}
	list, err := r.list(field)
	if err != nil {
		return "", err
	}
	if i := int(index[0] - '0'); i < len(list) {
		return list[i], nil
	}
	return "", fmt.Errorf("the list %q has %d elements, no number %s", field, len(list), index)
}

// edit changes a field, so that it reads as the harness has it.
type edit struct {
	Field   string         `yaml:"field"`
	Pattern *regexp.Regexp `yaml:"pattern"`
	With    string         `yaml:"with"`
}

func (e *edit) apply(r row) {
	if text, ok := r[e.Field].(string); ok {
		r[e.Field] = e.Pattern.ReplaceAllString(text, e.With)
	}
}
