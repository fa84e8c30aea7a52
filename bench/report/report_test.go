package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/bench/load"
)

// made returns a run with something in every field.
func made(name string, factor float64) Run {
	latency := func(ms float64) load.Latency {
		l := load.Latency{Count: 100, P50: time.Duration(ms * 1e6), P99: time.Duration(4 * ms * 1e6), P999: time.Duration(9 * ms * 1e6)}
		for i := range load.Percentiles {
			l.Curve = append(l.Curve, time.Duration(ms*1e6*float64(i+1)))
		}
		return l
	}
	met := false
	return Run{Name: name, URL: "http://a", Model: "m", Arrivals: "closed loop", Clients: int(8 * factor), Work: "words", Objectives: "ttft_p99=5ms", Met: &met,
		RequestsPerSecond: 10 * factor, TokensPerSecond: 1234 * factor, Goodput: 7,
		Metrics: []Metric{{"queue <length>", []float64{0, 1}, []float64{3, 4}}},
		Result: load.Result{Elapsed: 2500 * time.Millisecond, Requests: 123, Failed: 2, Errors: map[string]load.Failures{"status 500": {Count: 2, Example: "<script>boom"}},
			TimeToFirst: latency(20 * factor), InterToken: latency(3 * factor), EndToEnd: latency(500 * factor),
			Timeline: []load.Second{{InFlight: 4, Tokens: 1000, TimeToFirst: 1e6, LongestGap: 1e7}, {InFlight: 5, Tokens: 1200, TimeToFirst: 2e6, LongestGap: 1e7}, {}}}}
}

func write(t *testing.T, files ...File) string {
	t.Helper()
	var page bytes.Buffer
	if err := Write(&page, files); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// TestPage: the page holds every run's figures, escapes what servers say, and asks
// nothing of the network.
func TestPage(t *testing.T) {
	page := write(t, File{"ours", []Run{made("8 clients", 1), made("16 clients", 2)}}, File{"theirs", []Run{made("8 clients", 3)}})
	for _, want := range []string{"Load tests side by side", "ours: 8 clients", "theirs: 8 clients", "1,234", "2,468", "status 500", "&lt;script&gt;boom",
		"queue &lt;length&gt;", "ttft_p99=5ms (not met)", "prefers-color-scheme: dark", "Time to first token against throughput"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if m := regexp.MustCompile(`(src|href)=|url\(|<script|@import`).FindString(page); m != "" {
		t.Errorf("the page asks for something: %q", m)
	}
	svgs := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	if len(svgs) != 2+3+4+1 {
		t.Errorf("%d charts, want 10", len(svgs))
	}
	for _, svg := range svgs {
		wellFormed(t, svg)
	}
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("a chart has places that are no numbers:\n%s", svg)
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Errorf("a chart is no XML: %v\n%s", err, svg)
			return
		}
	}
}

// TestEmptyRun: where every request failed there is nothing to draw, and a page.
func TestEmptyRun(t *testing.T) {
	page := write(t, File{"f", []Run{{Name: "n", Arrivals: "closed loop", Result: load.Result{Elapsed: 1}}}})
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		wellFormed(t, svg)
	}
}

// TestTradeoff: a file's runs are joined in the order of their load.
func TestTradeoff(t *testing.T) {
	c := tradeoffs([]File{{"f", []Run{made("b", 2), made("a", 1)}}})[0]
	high := c.Lines[1].Points
	if len(high) != 2 || high[0].X != 1234 || high[0].Y != 80 || high[1].Y != 160 {
		t.Fatalf("points %+v", high)
	}
}

func TestRead(t *testing.T) {
	a, err := json.Marshal(made("a", 1))
	if err != nil {
		t.Fatal(err)
	}
	runs, err := Read(strings.NewReader(string(a) + "\n\n" + string(a) + "\n"))
	if err != nil || len(runs) != 2 || runs[1].TimeToFirst.P99 != 80*time.Millisecond || runs[1].TokensPerSecond != 1234 {
		t.Errorf("read %+v (%v)", runs, err)
	}
	for bad, want := range map[string]string{"": "no result", "{}": "line 1", string(a) + "\n{": "line 2", `{"kind":"decode","tok_s":3}`: "no result of"} {
		if _, err := Read(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
}

// FuzzRead: a page can be made of whatever Read takes.
func FuzzRead(f *testing.F) {
	a, _ := json.Marshal(made("a", 1))
	f.Add(a)
	f.Add([]byte(`{"elapsed_ns":1,"arrivals":"x","metrics":[{"name":"\u0000<","s":[1e308],"v":[-1e308]}],"timeline":[{}],"tok_s":1e308}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		runs, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		if err := Write(io.Discard, []File{{"f", runs}}); err != nil {
			t.Error(err)
		}
	})
}
