package jinja

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/quant/quanttest"
)

// goldenNow is the time at which the goldens were rendered.
var goldenNow = time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)

type goldenRow struct {
	Template    string          `json:"template"`
	Case        string          `json:"case"`
	Context     json.RawMessage `json:"context"`
	Expected    *string         `json:"expected"`
	Raises      *string         `json:"raises"`
	EngineError *string         `json:"engine_error"`
}

func goldenRows(t testing.TB) []goldenRow {
	f, err := os.Open(quanttest.Shared(t, "data", "chat-templates", "golden.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var rows []goldenRow
	for s := json.NewDecoder(bufio.NewReader(z)); s.More(); {
		var row goldenRow
		if err := s.Decode(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

func sharedTemplate(t testing.TB, name string) *Template {
	src, err := os.ReadFile(quanttest.Shared(t, "data", "chat-templates", name))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := Parse(string(src))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tmpl
}

func TestGolden(t *testing.T) {
	templates := map[string]*Template{}
	exact, raised := 0, 0
	for _, row := range goldenRows(t) {
		tmpl := templates[row.Template]
		if tmpl == nil {
			tmpl = sharedTemplate(t, row.Template)
			templates[row.Template] = tmpl
		}
		ctx, err := FromJSON(row.Context)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tmpl.Render(ctx, Options{Now: goldenNow, Limits: Limits{Wall: time.Minute}})
		var raise *RaiseError
		switch {
		case row.Expected != nil:
			exact++
			if err != nil {
				t.Errorf("%s, %s: %v", row.Template, row.Case, err)
			} else if got != *row.Expected {
				t.Errorf("%s, %s:\n got %q\nwant %q", row.Template, row.Case, got, *row.Expected)
			}
		case row.Raises != nil:
			raised++
			if !errors.As(err, &raise) || raise.Message != *row.Raises {
				t.Errorf("%s, %s: got error %v, want the template to raise %q", row.Template, row.Case, err, *row.Raises)
			}
		default:
			t.Logf("%s, %s: jinja2 fails (%s), we give error %v", row.Template, row.Case, *row.EngineError, err)
		}
	}
	if exact != 285 || raised != 9 {
		t.Errorf("saw %d renderings and %d refusals, want 285 and 9", exact, raised)
	}
}
