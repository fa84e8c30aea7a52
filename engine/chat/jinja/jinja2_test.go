package jinja

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

// lenient are templates that jinja2 refuses and we render, with the reason.
var lenient = map[string]string{
	"{{ [1,2].append(3) }}": "llama.cpp allows it",
}

// different are templates whose text differs from jinja2's on purpose, with ours.
var different = map[string]string{
	"{{ l|attr('append') is defined }} {{ d|attr('b') is defined }}": "True False", // append is allowed
}

// TestJinja2 compares small templates of all features with what Python's jinja2 3.1.6, set up
// as transformers does, made of them (testdata/jinja2.jsonl; the first line is the context). The
// templates are our own; where jinja2 failed its error is there for the reader.
func TestJinja2(t *testing.T) {
	f, err := os.Open("testdata/jinja2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan()
	head, err := FromJSON(lines.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	ctx, _ := head.Dict().Get("context")
	for lines.Scan() {
		var row struct {
			Template, Error  string
			Expected, Raises *string
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		checkRow(t, row.Template, ctx, row.Expected, row.Raises, row.Error)
	}
}

func checkRow(t *testing.T, src string, ctx Value, expected, raises *string, failure string) {
	t.Helper()
	var got string
	tmpl, err := Parse(src)
	if err == nil {
		got, err = tmpl.Render(ctx, Options{Now: goldenNow, Limits: Limits{Wall: time.Minute}})
	}
	var raise *RaiseError
	want, isDifferent := different[src]
	switch {
	case isDifferent:
		if err != nil || got != want {
			t.Errorf("%q:\n got %q, %v\nwant %q", src, got, err, want)
		}
	case expected != nil:
		if err != nil || got != *expected {
			t.Errorf("%q:\n got %q, %v\nwant %q", src, got, err, *expected)
		}
	case raises != nil:
		if !errors.As(err, &raise) || raise.Message != *raises {
			t.Errorf("%q: got %v, want the template to raise %q", src, err, *raises)
		}
	case lenient[src] != "":
		if err != nil {
			t.Errorf("%q: %v, though we allow it: %s", src, err, lenient[src])
		}
	case err == nil:
		t.Errorf("%q: got %q, want an error as jinja2's: %s", src, got, failure)
	}
}
