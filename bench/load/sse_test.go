package load

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// readAll returns the data of every event and the error that ended them.
func readAll(r io.Reader) ([]string, error) {
	events := newEvents(r)
	var out []string
	for {
		data, err := events.next()
		if err != nil {
			return out, err
		}
		out = append(out, string(data))
	}
}

func TestEvents(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for _, c := range []struct {
		stream string
		want   []string
		err    error
	}{
		{"data: a\n\ndata: b\n\n", []string{"a", "b"}, io.EOF},
		{"data:a\r\n\r\ndata:  b\r\n\r\n", []string{"a", " b"}, io.EOF},
		{": still here\n\nevent: x\nid: 3\ndata: a\ndata: b\n\n", []string{"a\nb"}, io.EOF},
		{"data\n\n", []string{""}, io.EOF},
		{"database: a\n\n", nil, io.EOF},
		{"data: a\n\ndata: cut off", []string{"a"}, io.EOF},
		{"data: a\n\ndata: cut off\n", []string{"a"}, io.EOF},
		{"data: " + long + "\n\ndata: b\n\n", []string{long, "b"}, io.EOF},
		{"data: " + strings.Repeat("x", maxEvent+1) + "\n\n", nil, errLongEvent},
		{strings.Repeat("data: "+long+"\n", 11) + "\n", nil, errLongEvent},
	} {
		got, err := readAll(strings.NewReader(c.stream))
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("%.60q: %.60q, %v; want %.60q, %v", c.stream, got, err, c.want, c.err)
		}
	}
}

func TestParseChunk(t *testing.T) {
	for _, c := range []struct {
		data   string
		output bool
		kind   string
	}{
		{`{"choices":[{"index":0,"text":"a"}]}`, true, ""},
		{`{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}`, true, ""},
		{`{"choices":[{"index":0,"delta":{"reasoning_content":"a"}}]}`, true, ""},
		{`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]}`, true, ""},
		{`{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}`, false, ""},
		{`{"error":{"message":"no","type":"server_error","param":null,"code":null}}`, false, "error in mid-stream"},
		{`{"choices":[`, false, "not understood"},
		{`{"choices":"a"}`, false, "not understood"},
	} {
		got, err := parseChunk([]byte(c.data))
		var f failure
		errors.As(err, &f)
		if f.kind != c.kind {
			t.Errorf("%s: %v, want the kind %q", c.data, err, c.kind)
		}
		if err == nil && got.Choices[0].hasOutput() != c.output {
			t.Errorf("%s: output %v, want %v", c.data, !c.output, c.output)
		}
	}
}

// FuzzReadAnswer feeds a client any stream at all: it must end without a panic, hold no
// more than an event's bound, and count no more text than there are events.
func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\ndata: [DONE]\n\n"))
	f.Add([]byte("data: {\"choices\":[{\"index\":-1,\"delta\":{\"content\":\"a\"}},{\"index\":1000000000,\"text\":\"b\"}]}\n\n"))
	f.Add([]byte(": c\r\n\r\ndata: {\"usage\":{\"completion_tokens\":-5}}\r\n\r\ndata: {\"error\":{}}\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		tr := track{recorder: newRecorder(&Config{Duration: time.Hour}, time.Now()), due: time.Now(), leaveAt: -1}
		err := readAnswer(bytes.NewReader(stream), &tr)
		tr.recorder.end(&tr, err)
		if r := tr.recorder.result(time.Now()); r.Requests != 1 || r.Completed+r.Failed != 1 {
			t.Errorf("one request is counted as %+v", r)
		}
		if tr.chunks > bytes.Count(stream, []byte("{")) {
			t.Errorf("%d pieces of text in %q", tr.chunks, stream)
		}
	})
}
