package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// madeRun makes a run's folder with a log.
func madeRun(t *testing.T, name, log string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	grow(t, dir, log)
	return dir
}

// grow appends to a run's log.
func grow(t *testing.T, dir, text string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(dir, LogName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// serve serves runs until the test ends.
func serve(t *testing.T, dirs ...string) *Server {
	t.Helper()
	s, err := Listen("listen", "127.0.0.1:0", false, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// get asks for a path, and returns the answer with its text.
func get(t *testing.T, s *Server, path, host string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest("GET", s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		request.Host = host
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// TestView: the sections hold both runs, follow a log that grows, leave out what is
// switched off, and do not come again while nothing is new.
func TestView(t *testing.T) {
	a, b := madeRun(t, "first", made()), madeRun(t, "second", begin(0, 50)+steps(1, 9, 0))
	s := serve(t, a, b)
	view := func(query string) (p parts) {
		t.Helper()
		answer, text := get(t, s, "/view?"+query, "")
		if answer.StatusCode == http.StatusNoContent {
			return p
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil || len(p.Parts) != 5 {
			t.Fatalf("%v in %s", err, text)
		}
		checkCharts(t, p.Parts["charts"])
		return p
	}
	p := view("")
	for part, want := range map[string]string{"summary": "9 of 50", "charts": "<title>second</title>", "events": "skipped: step 100", "samples": "a &lt;script&gt;alert", "configuration": "&lt;b&gt;Once"} {
		if !strings.Contains(p.Parts[part], want) {
			t.Errorf("the %s lack %q:\n%s", part, want, p.Parts[part])
		}
	}
	if again := view("seen=" + strings.ReplaceAll(p.Version, " ", "+")); again.Version != "" {
		t.Error("the same comes again")
	}
	grow(t, b, stepLine(10, 0))
	if p = view("off=0&x=tokens&log=true&seen=" + strings.ReplaceAll(p.Version, " ", "+")); !strings.Contains(p.Parts["summary"], "10 of 50") || !strings.Contains(p.Parts["charts"], ">tokens<") {
		t.Errorf("after another step:\n%s", p.Parts["summary"])
	}
	if strings.Contains(p.Parts["charts"], "<title>first</title>") || !strings.Contains(p.Parts["summary"], `data-run="0" aria-pressed="false"`) {
		t.Error("a run that is off is drawn")
	}
	if p = view("off=0,1&x=nonsense"); strings.Contains(p.Parts["charts"], "<svg") {
		t.Error("no run is on, and there are charts")
	}
}

// TestGuard: the page is for programs of this machine that mean this server.
func TestGuard(t *testing.T) {
	dir := madeRun(t, "run", made())
	s := serve(t, dir)
	for host, want := range map[string]int{"": 200, "localhost:6006": 200, "[::1]": 200, "rebound.example": 403} {
		if answer, _ := get(t, s, "/", host); answer.StatusCode != want || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("host %q: %s", host, answer.Status)
		}
	}
	if answer, _ := get(t, s, "/"+LogName, ""); answer.StatusCode != 404 {
		t.Errorf("another path: %s", answer.Status)
	}
	for address, want := range map[string]string{"0.0.0.0:0": "allow it with --listen-public", "example.org:80": "--listen-public", "6006": "not host:port", strings.TrimPrefix(s.URL(), "http://"): "any free port"} {
		if s, err := Listen("listen", address, false, dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", address, s, err, want)
		}
	}
	if _, err := Listen("listen", "127.0.0.1:0", false, t.TempDir()); err == nil || !strings.Contains(err.Error(), "want the --out of a training run") {
		t.Errorf("a folder without a run: %v", err)
	}
	public, err := Listen("listen", "0.0.0.0:0", true, dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = public.ln.Close()
}

// until waits until a JavaScript expression is true.
func until(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for {
			ok, err := chromedp.Evaluate[bool]("Boolean("+expression+")")(ctx, target)
			if ok {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("it does not become true: %s (%w)", expression, errors.Join(err, ctx.Err()))
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
}

// TestInBrowser looks at two runs, one of which goes on: its step arrives, a run is
// switched off, values show at the mouse, nothing is wider than a phone. The report is
// looked at, too. INGOT_SCREENSHOTS names a folder for pictures.
func TestInBrowser(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium in PATH: the dashboard is not tested in a browser (apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1100, 900))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("cannot start %s: %v", path, err)
	}
	ctx, cancel = context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		for i, s := range steps {
			if err := chromedp.Do(ctx, s); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
	}
	point := until(`(() => {
		const box = document.querySelector(".chart svg").getBoundingClientRect();
		document.querySelector(".chart svg").dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + 60}));
		return true;
	})()`)
	first, second := madeRun(t, "first", made()), madeRun(t, "second", begin(0, 50)+steps(1, 9, 0))
	s := serve(t, first, second)
	do(chromedp.Navigate(s.URL()),
		until(`document.querySelectorAll("#charts svg").length === 8 && document.querySelector("#summary").textContent.includes("9 of 50")`),
		until(`document.querySelector("#samples blockquote").textContent === "the end" && !document.querySelector("#samples script")`),
		point, until(`document.querySelector(".tip").textContent.includes("step 90first, each step: 2.0") && document.querySelectorAll(".tip .key").length === 2`))
	grow(t, second, stepLine(10, 0))
	do(until(`document.querySelector("#summary").textContent.includes("10 of 50")`),
		chromedp.Click(`[data-run="0"]`),
		until(`document.querySelector('[data-run="0"]').getAttribute("aria-pressed") === "false" && document.activeElement.dataset.run === "0"`),
		until(`document.querySelectorAll("#charts svg").length === 5 && !document.querySelector("#charts").textContent.includes("first")`),
		chromedp.Click(`[data-run="0"]`), until(`document.querySelectorAll("#charts svg").length === 8`),
		chromedp.Click(`#log`), until(`!document.querySelector("#notice").textContent`), picture("dashboard"),
		chromedp.EmulateViewport(390, 780, chromedp.EmulateScale(2), chromedp.EmulateMobile),
		until(`document.documentElement.scrollWidth <= 390`), picture("dashboard-phone"))
	report, err := WriteReport(first)
	if err != nil {
		t.Fatal(err)
	}
	do(chromedp.Navigate("file://"+report), until(`document.documentElement.scrollWidth <= 390`),
		point, until(`document.querySelector(".tip").textContent.includes("validation: 3.")`), picture("report-phone"))
}

// picture keeps a picture if INGOT_SCREENSHOTS names a folder.
func picture(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		dir := os.Getenv("INGOT_SCREENSHOTS")
		if dir == "" {
			return nil
		}
		png, err := chromedp.CaptureScreenshot()(ctx, target)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	})
}
