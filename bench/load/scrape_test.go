package load

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestParseMetrics(t *testing.T) {
	got := parseMetrics(strings.NewReader("# HELP a b\n# TYPE a gauge\na 1\nb{x=\"1 } 2\"} 2.5 1700000000\n  c\t3e2\nbad\nnan NaN\ninf +Inf\n{}\n9"))
	want := map[string]float64{"a": 1, "b{x=\"1 } 2\"}": 2.5, "c": 300}
	if !maps.Equal(got, want) {
		t.Errorf("read %v", got)
	}
}

func FuzzParseMetrics(f *testing.F) {
	f.Add("a 1\nb{x=\"1 } 2\"} 2.5 1700000000\n{} \n}")
	f.Fuzz(func(t *testing.T, text string) {
		for name, v := range parseMetrics(strings.NewReader(text)) {
			if name == "" || v != v {
				t.Errorf("%q is %v", name, v)
			}
		}
	})
}

func TestScrape(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 3 {
			cancel()
		}
		fmt.Fprintf(w, "n %d\n", n)
	}))
	defer server.Close()
	samples, _ := Scrape(ctx, server.URL, "", time.Millisecond)
	if len(samples) < 2 || samples[0].Values["n"] != 1 || samples[1].Values["n"] != 2 || !samples[1].At.After(samples[0].At) {
		t.Errorf("scraped %+v", samples)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if samples, err := Scrape(ctx, gone.URL, "", time.Millisecond); len(samples) > 0 || err == nil {
		t.Errorf("a server without metrics gave %v, %v", samples, err)
	}
}
