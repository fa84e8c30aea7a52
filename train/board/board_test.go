package board

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// begin is a Start's line.
func begin(from, steps int) string {
	line, err := json.Marshal(map[string]Start{"run": {Time: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), Command: "pretrain", From: from, Steps: steps, Rate: 0.004,
		Facts: []Fact{{"parameters", "1.28 M"}}, Settings: map[string]string{"lr": "0.004", "prompt": "<b>Once"}}})
	if err != nil {
		panic(err)
	}
	return string(line) + "\n"
}

// stepLine is a step's line, whose loss falls along 5/step + plus.
func stepLine(step int, plus float64) string {
	return fmt.Sprintf(`{"step":%d,"loss":%g,"grad_norm":1.5,"lr_share":0.5,"tokens":100,"targets":90,"tok_s":2000,"mfu":0.4,"seconds":%g}`+"\n", step, 5/float64(step)+plus, 0.05*float64(step))
}

func evaluationLine(step int, text string) string {
	return fmt.Sprintf(`{"step":%d,"valid_loss":3.25,"valid_bits_per_byte":1.5,"sample":%q}`+"\n", step, text)
}

func steps(from, to int, plus float64) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		b.WriteString(stepLine(i, plus))
	}
	return b.String()
}

func read(text string) *Run {
	r := &Run{}
	r.Add([]byte(text))
	return r
}

// TestGoesOn: what a process makes again after a checkpoint takes the place of what was
// there; tokens and time add up.
func TestGoesOn(t *testing.T) {
	r := read(begin(0, 20) + steps(1, 9, 0) + evaluationLine(5, "five") + evaluationLine(8, "eight") + `{"step":9,"skipped":true,"loss":0}` + "\n" +
		begin(6, 20) + strings.ReplaceAll(steps(7, 12, 1), `"seconds":0.`, `"seconds":10`))
	loss := r.Curve("loss")
	if len(loss.Steps) != 12 || loss.Steps[6] != 7 || math.Abs(loss.Values[6]-(5.0/7+1)) > 1e-5 || math.Abs(loss.Values[5]-5.0/6) > 1e-5 {
		t.Errorf("losses %v at %v", loss.Values, loss.Steps)
	}
	if len(r.Samples) != 1 || r.Samples[0].Text != "five" || len(r.Marks) != 0 || len(r.Starts) != 2 || r.Step() != 12 {
		t.Errorf("samples %v, marks %v, %d processes, step %d", r.Samples, r.Marks, len(r.Starts), r.Step())
	}
	if got := r.Curve("tokens").At(12); got != 1200 {
		t.Errorf("%g tokens after 12 steps of 100", got)
	}
	if r = read(begin(0, 20) + steps(1, 9, 0) + begin(0, 20) + steps(1, 2, 0)); r.Step() != 2 || len(r.Starts) != 1 {
		t.Errorf("begun anew: step %d, %d processes", r.Step(), len(r.Starts))
	}
	if r = read(steps(1, 9, 0) + steps(5, 6, 1)); r.Step() != 6 || len(r.Curve("loss").Steps) != 6 {
		t.Errorf("a log without starts: step %d, %d losses", r.Step(), len(r.Curve("loss").Steps))
	}
}

// TestSeconds: the time of a run is the sum of its processes' up to the steps that count.
func TestSeconds(t *testing.T) {
	line := func(step int, seconds float64) string {
		return fmt.Sprintf("{\"step\":%d,\"seconds\":%g}\n", step, seconds)
	}
	r := read(begin(0, 9) + line(1, 2) + line(2, 4) + line(3, 7) + begin(2, 9) + line(3, 5) + line(4, 6))
	if got := fmt.Sprint(r.Curve("seconds").Values); got != "[2 4 9 10]" {
		t.Errorf("seconds %s, want those of steps 1 and 2, then 5 and 1 more", got)
	}
}

// TestDamage: lines that are no log's are counted, and cost themselves only.
func TestDamage(t *testing.T) {
	r := read(steps(1, 3, 0) + "{\"step\":4,\"lo\n" + "\x00\x00\n" + "[1]\n" + `{"step":-1,"loss":2}` + "\n" + `{"step":1.5}` + "\n" + `{"run":7}` + "\n\n" + steps(5, 6, 0))
	if r.Damaged != 6 || len(r.Curve("loss").Steps) != 5 || r.Step() != 6 {
		t.Errorf("%d damaged, losses at %v", r.Damaged, r.Curve("loss").Steps)
	}
	r = read(`{"step":3,"loss":0,"grad_norm":0,"skipped":true,"tok_s":9}` + "\n")
	if r.Curve("loss") != nil || len(r.Marks) != 1 || r.Marks[0] != (Mark{Step: 3, Name: "skipped"}) || r.Curve("tok_s").Last() != 9 {
		t.Errorf("a skipped step: %+v", r)
	}
}

// TestFollow: a log is read as it grows, its torn last line when it is whole, and anew if
// it is another file.
func TestFollow(t *testing.T) {
	f := Follower{Dir: t.TempDir()}
	path := filepath.Join(f.Dir, LogName)
	if err := f.Read(); err == nil || !strings.Contains(err.Error(), "holds no run") {
		t.Errorf("a folder without a log: %v", err)
	}
	put := func(text string, flags int) {
		t.Helper()
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, do := range []struct {
		text  string
		flags int
		step  int
		grew  bool
	}{
		{steps(1, 3, 0), 0, 3, true}, {stepLine(4, 0)[:20], os.O_APPEND, 3, false}, {stepLine(4, 0)[20:] + stepLine(5, 0), os.O_APPEND, 5, true},
		{"", os.O_APPEND, 5, false}, {steps(1, 2, 0), os.O_TRUNC, 2, true},
	} {
		before := f.reads
		put(do.text, do.flags)
		if err := f.Read(); err != nil || f.Run.Step() != do.step || f.Run.Damaged != 0 || (f.reads > before) != do.grew {
			t.Errorf("after %q: step %d, %d damaged, %d reads, %v", do.text, f.Run.Step(), f.Run.Damaged, f.reads-before, err)
		}
	}
}

// TestThin: few values stand for many, and no spike is lost.
func TestThin(t *testing.T) {
	c := &Curve{}
	for i := range 10007 {
		c.Steps, c.Values = append(c.Steps, i+1), append(c.Values, 3)
	}
	c.Values[4321], c.Values[5000] = 99, -1
	thin := c.thin(100)
	if n := len(thin.Steps); n < 100 || n > 101 || thin.Steps[0] != 1 || thin.Steps[n-1] != 10007 {
		t.Errorf("%d values from step %d to %d", n, thin.Steps[0], thin.Steps[n-1])
	}
	if thin.on(4322) != 99 || thin.on(5001) != -1 {
		t.Error("a spike is lost")
	}
	for i := 1; i < len(thin.Steps); i++ {
		if thin.Steps[i] < thin.Steps[i-1] {
			t.Fatalf("step %d comes after %d", thin.Steps[i], thin.Steps[i-1])
		}
	}
}

// TestSmooth: a constant stays, and a value counts (1-2/(span+1))^age.
func TestSmooth(t *testing.T) {
	c := &Curve{[]int{1, 2, 3}, []float64{8, 2, 5}}
	got := c.smooth(3).Values // weights 1, 1/2, 1/4
	for i, want := range []float64{8, (2 + 8.0/2) / 1.5, (5 + 2.0/2 + 8.0/4) / 1.75} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("value %d is %g, want %g", i, got[i], want)
		}
	}
}

// made is a log with everything in it.
func made() string {
	return begin(0, 200) + steps(1, 90, 2) + evaluationLine(50, "a <script>alert(1)</script> text") + begin(80, 200) + steps(81, 200, 2) +
		`{"step":100,"skipped":true,"reason":"its loss is <high>","loss":0}` + "\n{torn\n" + `{"step":200,"valid_loss":3.5,"reward_margin":-0.25,"sample":"the end"}` + "\n"
}

// TestReport: the page holds figures, samples, settings and events, escapes what models
// say, and asks nothing of the network.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, LogName), []byte(made()), 0o644); err != nil {
		t.Fatal(err)
	}
	path, err := WriteReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{"200 of 200", "done", "Training loss", "Validation, bits per byte", "Learning rate", "Norm of the gradient", "MFU", "reward margin",
		"a &lt;script&gt;alert", "the end", "1.28 M", "&lt;b&gt;Once", "skipped: step 100; the last one because its loss is &lt;high&gt;", "step 100: skipped, because its loss is &lt;high&gt;", "went on from step 80", "1 lines of the log are damaged", "prefers-color-scheme: dark", "step 200: 3.5", `<span class="key c0 dashed"></span>validation`, `<progress max="200" value="200"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if m := regexp.MustCompile(`(src|href)=|url\(|@import|<script>alert`).FindString(page); m != "" {
		t.Errorf("the page asks for something: %q", m)
	}
	if svgs := checkCharts(t, page); svgs != 8 {
		t.Errorf("%d charts, want 8", svgs)
	}
}

// TestCompared: of several runs what differs is told apart from what is the same.
func TestCompared(t *testing.T) {
	run := func(lr string) Named {
		return Named{Run: &Run{Starts: []Start{{Settings: map[string]string{"lr": lr, "seed": "1"}}}}}
	}
	told := configuration([]Named{run("0.1"), run("0.2")})[1]
	if len(told.Rows) != 1 || told.Rows[0].Name != "lr" || len(told.Same) != 1 || told.Same[0].Name != "seed" {
		t.Errorf("%+v differ, %+v are the same", told.Rows, told.Same)
	}
	if alone := configuration([]Named{run("0.1")})[1]; len(alone.Rows) != 2 || len(alone.Same) != 0 {
		t.Errorf("of one run: %+v", alone)
	}
}

// checkCharts refuses charts that are no XML or have places that are no numbers.
func checkCharts(t *testing.T, page string) int {
	t.Helper()
	svgs := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	for _, svg := range svgs {
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("places that are no numbers:\n%s", svg)
		}
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("a chart is no XML: %v\n%s", err, svg)
			}
		}
	}
	return len(svgs)
}

// TestNoReport: where no step was made there is no page.
func TestNoReport(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, LogName), []byte(begin(0, 5)), 0o644); err != nil {
		t.Fatal(err)
	}
	if path, err := WriteReport(dir); path != "" || err != nil {
		t.Errorf("%q, %v", path, err)
	}
}

func TestState(t *testing.T) {
	now := time.Now()
	for want, r := range map[string]*Run{"done": read(begin(0, 3) + steps(1, 3, 0)), "running": read(begin(0, 9) + steps(1, 3, 0))} {
		if got := r.State(now, now.Add(-time.Second)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	r := read(begin(0, 9) + steps(1, 3, 0))
	if got := r.State(now, now.Add(-2*time.Minute)); got != "stopped" {
		t.Errorf("%s after two silent minutes", got)
	}
	slow := read(begin(0, 9) + `{"step":1,"seconds":60}` + "\n")
	if got := slow.State(now, now.Add(-2*time.Minute)); got != "running" {
		t.Errorf("%s after two minutes, with steps of one", got)
	}
}

// FuzzLog: a report can be made of whatever a log holds, and reading it in pieces tells
// the same.
func FuzzLog(f *testing.F) {
	f.Add([]byte(made()), 40)
	f.Add([]byte(`{"step":1,"loss":1e308,"tokens":1e308,"seconds":-1e308}`+"\n"+`{"step":2147483647,"loss":-1e308,"tokens":1e308,"seconds":1e308,"x":1e-300}`+"\n"), 9)
	f.Add([]byte(`{"run":{"from":-5,"steps":-1,"lr":-1e308}}`+"\n"+`{"step":0,"lr_share":1e308,"spike":true}`+"\n"), 30)
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		whole, pieces := Follower{}, Follower{}
		for rest := text; whole.take(rest); {
			rest = text[whole.offset:]
		}
		cut := max(0, min(at, len(text)))
		pieces.take(text[:cut])
		for pieces.take(text[pieces.offset:]) {
		}
		if a, b := whole.Run.Step(), pieces.Run.Step(); a != b || whole.Run.Damaged != pieces.Run.Damaged {
			t.Errorf("step %d, %d damaged; in pieces %d, %d", a, whole.Run.Damaged, b, pieces.Run.Damaged)
		}
		var page strings.Builder
		if err := Report(&page, "fuzz", &whole.Run, time.Now()); err != nil {
			t.Fatal(err)
		}
		checkCharts(t, page.String())
	})
}
