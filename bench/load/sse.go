package load

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/bytedance/sonic"
)

// events reads server-sent events, as the HTML standard defines them, for their data.
type events struct {
	lines *bufio.Reader
	data  []byte
}

// maxEvent bounds an event's data: a chunk with twenty alternatives for a token takes
// some kilobytes.
const maxEvent = 1 << 20

var errLongEvent = errors.New("an event is longer than a megabyte")

func newEvents(r io.Reader) *events { return &events{lines: bufio.NewReaderSize(r, 16<<10)} }

// next returns the next event's data, valid until the next call. io.EOF is the end of
// the stream; an event that it cuts off is dropped, as the standard says.
func (e *events) next() ([]byte, error) {
	e.data = e.data[:0]
	some := false
	for {
		line, err := e.line()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if some {
				return e.data, nil
			}
			continue
		}
		value, ok := field(line, "data")
		if !ok {
			continue // a comment, or a field that tells nothing here
		}
		if some {
			e.data = append(e.data, '\n')
		}
		some = true
		e.data = append(e.data, value...)
		if len(e.data) > maxEvent {
			return nil, errLongEvent
		}
	}
}

// line returns a line without its end, valid until the next call.
func (e *events) line() ([]byte, error) {
	line, err := e.lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = e.longLine(line)
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// longLine goes on with a line that the buffer could not hold.
func (e *events) longLine(start []byte) ([]byte, error) {
	line := bytes.Clone(start)
	for {
		more, err := e.lines.ReadSlice('\n')
		line = append(line, more...)
		if len(line) > maxEvent {
			return nil, errLongEvent
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// field returns the value of "name: value".
func field(line []byte, name string) ([]byte, bool) {
	value, ok := bytes.CutPrefix(line, []byte(name))
	if !ok {
		return nil, false
	}
	if len(value) == 0 {
		return value, true
	}
	if value[0] != ':' {
		return nil, false
	}
	return bytes.TrimPrefix(value[1:], []byte(" ")), true
}

// chunk is what a chunk of a chat or text completion tells us.
type chunk struct {
	Choices []chunkChoice `json:"choices"`
	Usage   *struct {
		PromptTokens     int64 `json:"prompt_tokens"`
		CompletionTokens int64 `json:"completion_tokens"`
	} `json:"usage"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

type chunkChoice struct {
	Index int    `json:"index"`
	Text  string `json:"text"`
	Delta struct {
		Content   string     `json:"content"`
		Reasoning string     `json:"reasoning_content"`
		ToolCalls []struct{} `json:"tool_calls"`
	} `json:"delta"`
}

// hasOutput tells whether the model said something in this piece of an answer.
func (c *chunkChoice) hasOutput() bool {
	return c.Text != "" || c.Delta.Content != "" || c.Delta.Reasoning != "" || len(c.Delta.ToolCalls) > 0
}

// parseChunk reads an event; the failure is the server's, told in the stream, or ours to
// understand it.
func parseChunk(data []byte) (c chunk, err error) {
	if err := sonic.Unmarshal(data, &c); err != nil {
		return c, failure{"not understood", err}
	}
	if c.Error != nil {
		return c, failure{"error in mid-stream", errors.New(c.Error.Message)}
	}
	return c, nil
}
