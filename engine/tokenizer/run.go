package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// RunOptions are the flags of "ingot tokenize".
type RunOptions struct {
	JSONL      bool // one JSON object a line, in and out
	NoSpecial  bool // encoding adds no BOS and EOS
	Decode     bool // ids to text
	SkipHidden bool // decoding leaves control tokens out
}

// maxLine bounds a line of JSON.
const maxLine = 256 << 20

// tokenizeLine is a line in either direction.
type tokenizeLine struct {
	Text *string `json:"text,omitempty"`
	IDs  []int32 `json:"ids,omitempty"`
}

// RunTokenize is "ingot tokenize". Without JSONL the whole of in is one text, and one
// line {"ids":[..]} comes out; with it each line {"text":".."} gives such a line. With
// Decode it goes the other way: {"ids":[..]} gives the bare text, or with JSONL a line
// {"text":".."}. Control tokens written in a text are plain text.
func RunTokenize(in io.Reader, out io.Writer, t *Tokenizer, opt RunOptions) error {
	w := bufio.NewWriter(out)
	var err error
	switch {
	case opt.JSONL:
		err = t.eachLine(in, w, opt)
	case opt.Decode:
		err = t.decodeAll(in, w, opt)
	default:
		err = t.encodeAll(in, w, opt)
	}
	return errors.Join(err, w.Flush())
}

func (t *Tokenizer) encodeAll(in io.Reader, w *bufio.Writer, opt RunOptions) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("cannot read the text: %w", err)
	}
	if !utf8.Valid(text) {
		return errors.New("the text is no valid UTF-8")
	}
	return t.writeIDs(w, string(text), opt)
}

func (t *Tokenizer) writeIDs(w *bufio.Writer, text string, opt RunOptions) error {
	ids := t.Encode([]int32{}, text, EncodeOptions{AddSpecial: !opt.NoSpecial})
	line, err := json.Marshal(map[string][]int32{"ids": ids})
	if err == nil {
		_, err = w.Write(append(line, '\n'))
	}
	return err
}

func (t *Tokenizer) decodeAll(in io.Reader, w *bufio.Writer, opt RunOptions) error {
	data, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("cannot read the ids: %w", err)
	}
	var line tokenizeLine
	if err := json.Unmarshal(data, &line); err != nil {
		return fmt.Errorf(`the input is not {"ids":[..]}: %w`, err)
	}
	text, err := t.decodeLine(line, opt)
	if err == nil {
		_, err = w.WriteString(text)
	}
	return err
}

func (t *Tokenizer) decodeLine(line tokenizeLine, opt RunOptions) (string, error) {
	if line.IDs == nil {
		return "", errors.New(`it has no "ids"`)
	}
	for _, id := range line.IDs {
		if !t.valid(id) {
			return "", fmt.Errorf("id %d is out of range: the vocabulary has %d tokens", id, t.Vocab())
		}
	}
	return t.Decode(line.IDs, opt.SkipHidden), nil
}

func (t *Tokenizer) eachLine(in io.Reader, w *bufio.Writer, opt RunOptions) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, maxLine)
	for n := 1; s.Scan(); n++ {
		data := bytes.TrimSpace(s.Bytes())
		if len(data) == 0 {
			continue
		}
		if err := t.jsonLine(data, w, opt); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("cannot read the lines: %w", err)
	}
	return nil
}

func (t *Tokenizer) jsonLine(data []byte, w *bufio.Writer, opt RunOptions) error {
	var line tokenizeLine
	if err := json.Unmarshal(data, &line); err != nil {
		return err
	}
	if !opt.Decode {
		if line.Text == nil {
			return errors.New(`it has no "text"`)
		}
		return t.writeIDs(w, *line.Text, opt)
	}
	text, err := t.decodeLine(line, opt)
	if err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(tokenizeLine{Text: &text})
}
