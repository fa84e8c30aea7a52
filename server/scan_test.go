package server

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func TestScanPaths(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":[1,{"b":NaN}]}`:            "a[1].b",
		`{"a":{"b":[[1e400]]}}`:          "a.b[0][0]",
		`{"a":{"b":1,"\u0062":2}}`:       "a.b",
		`{"a":"\ud800"}`:                 "a",
		`{"a":"\udc00\ud800"}`:           "a",
		"{\"a\":\"\x01\"}":               "a",
		`[]`:                             "",
		`{} {}`:                          "",
		`{"a":1,}`:                       "",
		`{"a" 1}`:                        "a",
		``:                               "",
		`{"a":` + strings.Repeat("[", 9): "a[0][0][0][0][0][0][0][0][0]",
	} {
		_, err := scanObject([]byte(text))
		if err == nil || err.path != want {
			t.Errorf("%q: path %v, want %q", text, err, want)
		}
	}
}

func TestScanDepth(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(`{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`)
	}
	if _, err := scanObject(nested(maxDepth)); err != nil {
		t.Error(err)
	}
	if _, err := scanObject(nested(maxDepth + 1)); err == nil {
		t.Error("too deep is accepted")
	}
}

func TestScanKeepsOrderAndText(t *testing.T) {
	members, err := scanObject([]byte(` {"z": {"b":1, "a":2} , "\u0061":[ 1,"x" ] } `))
	if err != nil || len(members) != 2 || members[0].name != "z" || string(members[0].value) != `{"b":1, "a":2}` || members[1].name != "a" {
		t.Fatalf("%q %v", members, err)
	}
	if e := scanElements(members[1].value); len(e) != 2 || string(e[1]) != `"x"` {
		t.Errorf("%q", e)
	}
}

// TestScanManyNames is quadratic if names are compared one with another.
func TestScanManyNames(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`{"n0":0`)
	for i := 1; i < 300000; i++ {
		b.WriteString(`,"n` + string(rune('0'+i%10)) + strings.Repeat("x", i%7) + strconv.Itoa(i) + `":0`)
	}
	b.WriteString(`}`)
	if _, err := scanObject(b.Bytes()); err != nil {
		t.Error(err)
	}
}

// FuzzScan holds the scanner against encoding/json: what it accepts is valid JSON, and
// the parts it finds are the parts.
func FuzzScan(f *testing.F) {
	for _, s := range append(append([]string{}, alien...), broken...) {
		if len(s) < 1000 {
			f.Add([]byte(`{"a":` + s + `,"b":[` + s + `]}`))
		}
	}
	f.Add([]byte(`{"messages":[{"role":"user","content":"\u00e9\ud83d\ude00"}],"n":-0.5e-3}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		members, err := scanObject(text)
		if err != nil {
			if err.offset < 0 || err.offset > len(text) {
				t.Fatalf("offset %d of %d", err.offset, len(text))
			}
			return
		}
		var std map[string]json.RawMessage
		if e := json.Unmarshal(text, &std); e != nil {
			t.Fatalf("%q is accepted, encoding/json says %v", text, e)
		}
		if len(std) != len(members) {
			t.Fatalf("%q: %d members, encoding/json finds %d", text, len(members), len(std))
		}
		for _, m := range members {
			if !bytes.Equal(bytes.TrimSpace(std[m.name]), m.value) {
				t.Fatalf("%q: member %q is %q, encoding/json says %q", text, m.name, m.value, std[m.name])
			}
		}
	})
}

// FuzzRequest sends any body to every endpoint that takes one: never a 5xx, and the
// answer is JSON or a stream.
func FuzzRequest(f *testing.F) {
	for _, in := range bodies() {
		for i := range fields {
			if fields[i].In&in != 0 {
				f.Add(uint8(i), []byte(bodyWith(in, fields[i].Name, probes(&fields[i])[0].value)))
			}
		}
	}
	fake := newFake()
	fake.answer = "<think>a</think><tool_call>\n{\"name\":\"f\",\"arguments\":{}}\n</tool_call>"
	h := start(f, fake, nil)
	all := bodies()
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		in := all[int(which)%len(all)]
		g := *h
		g.t = t
		a := g.do("POST", pathOf[in], string(text))
		stream := strings.HasPrefix(a.header["Content-Type"], "text/event-stream")
		if a.status >= 500 || !stream && !json.Valid([]byte(a.body)) {
			t.Fatalf("%s %q: %d %s", pathOf[in], text, a.status, a.body)
		}
		if stream && !strings.HasSuffix(a.body, "data: [DONE]\n\n") {
			t.Fatalf("%q: the stream does not end: %s", text, a.body)
		}
	})
}
