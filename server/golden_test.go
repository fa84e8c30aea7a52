package server

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTranscripts sends the requests of testdata/*.txt and compares the whole answers.
// A case is a line "=== name [answer=TEXT] [piece=N]", a request line, a body of any
// number of lines, a line "---", and the answer.
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { runTranscripts(t, path) })
	}
}

func runTranscripts(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, newFake(), func(c *Config, _ *Model) { c.TemplateKwargs = []string{"enable_thinking"} })
	var out strings.Builder
	for _, c := range strings.Split(string(text), "=== ")[1:] {
		head, rest, _ := strings.Cut(c, "\n")
		request, want, _ := strings.Cut(rest, "---\n")
		got := replay(h, head, request)
		out.WriteString("=== " + head + "\n" + request + "---\n" + got)
		if !*rewrite && got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", head, got, want)
		}
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// replay answers one case.
func replay(h *harness, head, request string) string {
	fake := h.fake
	fake.answer, fake.piece = newFake().answer, 0
	for _, option := range strings.Fields(head)[1:] {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "answer":
			if v, err := strconv.Unquote(`"` + value + `"`); err == nil {
				fake.answer = strings.ReplaceAll(v, "~", " ")
			}
		case "piece":
			fake.piece, _ = strconv.Atoi(value)
		default:
			h.t.Fatalf("unknown option %q", option)
		}
	}
	line, body, _ := strings.Cut(request, "\n")
	method, path, _ := strings.Cut(line, " ")
	a := h.do(method, path, strings.TrimSpace(body))
	got := strconv.Itoa(a.status) + " " + a.header["Content-Type"] + "\n"
	if w := a.header["X-Ingot-Warning"]; w != "" {
		got += "X-Ingot-Warning: " + w + "\n"
	}
	return got + strings.TrimRight(a.body, "\n") + "\n\n"
}
