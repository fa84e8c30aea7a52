package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
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

// TestTradeoffPlaces: the chart's marks lie where their values are.
func TestTradeoffPlaces(t *testing.T) {
	c := tradeoffs([]File{{"f", []Run{made("b", 2), made("a", 1)}}})[0]
	high := c.lines[1]
	if len(high.points) != 2 || high.points[0].x != 1234 || high.points[0].y != 80 || high.points[1].y != 160 {
		t.Fatalf("points %+v", high.points)
	}
	if x, y := c.px(0), c.py(c.ys.low); x != left || y != height-low {
		t.Errorf("the origin lies at %v, %v", x, y)
	}
	if !(c.px(1234) < c.px(2468)) || !(c.py(80) > c.py(160)) {
		t.Error("more lies left of or below less")
	}
}

func TestScales(t *testing.T) {
	for high, want := range map[float64]float64{0: 1, 0.9: 1, 7: 8, 100: 100, 101: 150, 4321: 5000} {
		if s := linear(high); math.Abs(s.high-want) > 1e-9 || len(s.ticks) < 3 || s.ticks[len(s.ticks)-1].at > s.high*1.001 {
			t.Errorf("a linear axis for %v ends at %v with %d ticks, want %v", high, s.high, len(s.ticks), want)
		}
	}
	s := logarithmic(3, 70)
	if s.low != 2 || s.high != 100 || len(s.ticks) != 6 || s.place(2) != 0 || s.place(100) != 1 || s.place(1e9) != 1 {
		t.Errorf("a logarithmic axis for 3 to 70: %v to %v, %d ticks", s.low, s.high, len(s.ticks))
	}
	if one := logarithmic(10, 10); !(one.low < one.high) {
		t.Errorf("an axis for 10 alone: %v to %v", one.low, one.high)
	}
	n := nines()
	if a, b := n.place(99)-n.place(90), n.place(99.9)-n.place(99); math.Abs(a-b) > 1e-9 || n.place(100) != 1 {
		t.Errorf("nines lie %v and %v apart", a, b)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 12: "12", 12.34: "12.3", 123.4: "123", 1500: "1,500", 2.5e6: "2.5M", 3e9: "3G", 0.001: "0.001", 999999: "999,999", 100: "100"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
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
