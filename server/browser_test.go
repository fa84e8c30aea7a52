package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser starts a headless Chromium, or skips the test where there is none.
func browser(t *testing.T) context.Context {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium in PATH: the page is not tested in a browser (apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1100, 760))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("cannot start %s: %v", path, err)
	}
	ctx, cancel = context.WithTimeout(ctx, 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// pageServer serves the page at a socket of its own.
func pageServer(t *testing.T, fake *fakeEngine, edit func(*Config, *Model)) (*harness, string) {
	h := start(t, fake, edit)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.serve(ln)
	return h, "http://" + ln.Addr().String()
}

// step is something done in the browser, or waited for.
type step = chromedp.Action[chromedp.Void]

// run carries out steps in the browser.
func run(t *testing.T, ctx context.Context, steps ...step) {
	t.Helper()
	for i, s := range steps {
		if err := chromedp.Do(ctx, s); err != nil {
			html, _ := chromedp.Run(ctx, chromedp.OuterHTML("main"))
			t.Fatalf("step %d: %v\n%s", i, err, html)
		}
	}
}

// until waits until a JavaScript expression is true. It evaluates from outside the page:
// the page's own policy forbids eval.
func until(expression string) step {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for deadline := time.Now().Add(20 * time.Second); ; {
			ok, err := chromedp.Evaluate[bool]("Boolean("+expression+")")(ctx, target)
			if ok || ctx.Err() != nil {
				return ctx.Err()
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("it does not become true: %s (%w)", expression, err)
			}
			sleep(ctx, 20*time.Millisecond)
		}
	})
}

// enter presses the key as a keyboard does: a page that handles it gets no line break.
var enter = chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		_, err := cdp.Call(ctx, target, input.DispatchKeyEvent, input.DispatchKeyEventParams{
			Type: kind, Key: "Enter", Code: "Enter", Text: "\r", WindowsVirtualKeyCode: 13})
		if err != nil {
			return err
		}
	}
	return nil
})

// lastText waits for a text in the last element that a selector finds.
func lastText(selector, has string) step {
	return until(`[...document.querySelectorAll("` + selector + `")].pop()?.textContent.includes(` + "`" + has + "`" + `)`)
}

func count(selector, n string) step {
	return until(`document.querySelectorAll("` + selector + `").length === ` + n)
}

// screenshot keeps a picture if INGOT_SCREENSHOTS names a folder.
func screenshot(name string) step {
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

const markdownAnswer = "Here is **bold**, *slanted* and `code`:\n\n- one\n- two\n\n```go\nfunc main() {\n\tfmt.Println(\"<b>hi</b>\")\n}\n```\n\n<img src=x onerror=\"document.title='broken in'\"> <script>document.title='broken in'</script>\n\nThat is all."

// TestPageInBrowser types, watches the stream, stops, edits, retries, and looks at what
// the page makes of hostile text.
func TestPageInBrowser(t *testing.T) {
	ctx := browser(t)
	fake := newFake()
	fake.answer, fake.pause = markdownAnswer, time.Millisecond
	_, url := pageServer(t, fake, nil)
	run(t, ctx,
		chromedp.Navigate(url),
		lastText("#model", "fake"),
		chromedp.SendKeys("#input", "Tell me something"), enter,
		lastText(".message.assistant", "That is all."),
		lastText(".message.assistant .speed", "tokens/s"),
		until(`document.querySelector(".message.assistant strong").textContent === "bold" && document.querySelectorAll(".message.assistant li").length === 2`),
		until(`document.querySelector(".code code").textContent.includes("<b>hi</b>") && !document.querySelector(".message img, .message script") && document.title === "Ingot"`),
		screenshot("light"),
	)
	if r := fake.last(); !strings.Contains(bytesTokenizer{}.Decode(r.Prompt, true), "Tell me something") {
		t.Errorf("the prompt is %q", bytesTokenizer{}.Decode(r.Prompt, true))
	}

	// Stop an endless answer in its middle; the engine is told.
	fake.gate = make(chan struct{}, 64)
	fake.gate <- struct{}{}
	fake.answer = "Ever on and on"
	run(t, ctx,
		chromedp.SendKeys("#input", "Go on"), enter,
		lastText(".message.assistant .text", "Eve"),
		until(`!document.getElementById("stop").hidden && document.getElementById("send").hidden`),
		chromedp.Click("#stop"),
		lastText(".message.assistant .speed", "stopped"),
		count(".message", "4"),
	)
	expectCancel(t, fake)

	// Retry the stopped answer, then edit the first message: what followed is dropped.
	fake.gate = nil
	fake.answer = "Second try"
	run(t, ctx,
		chromedp.Click(".message:last-child [data-action=retry]"),
		lastText(".message.assistant .text", "Second try"),
		count(".message", "4"),
		chromedp.Click(".message:first-child [data-action=edit]"),
		chromedp.SetValue("[data-action=editor]", "Edited question"),
		chromedp.Click("[data-action=save]"),
		count(".message", "2"),
		lastText(".message.user .text", "Edited question"),
		lastText(".message.assistant .text", "Second try"),
		until(`!document.getElementById("send").hidden`),
	)

	// Settings reach the engine.
	run(t, ctx,
		chromedp.Click("#settings-toggle"),
		chromedp.SendKeys("#system", "Be a pirate"),
		chromedp.SendKeys("#temperature", "0.25"),
		chromedp.SendKeys("#max_tokens", "6"),
		screenshot("settings"),
		chromedp.Click("#settings-close"),
		chromedp.SendKeys("#input", "Again"), enter,
		lastText(".message.assistant .speed", "cut at the length limit"),
	)
	if r := fake.last(); r.Sampling.Temperature != 0.25 || r.MaxTokens != 6 || !strings.Contains(bytesTokenizer{}.Decode(r.Prompt, true), "Be a pirate") {
		t.Errorf("the engine is asked for %+v", r)
	}

	// Dark, by the button; then a phone. Nothing is wider than the screen.
	run(t, ctx,
		chromedp.Click("#theme"),
		until(`getComputedStyle(document.body).backgroundColor === "rgb(23, 22, 20)"`),
		screenshot("dark"),
		chromedp.EmulateViewport(390, 780, chromedp.EmulateScale(2), chromedp.EmulateMobile),
		until(`document.documentElement.scrollWidth <= 390`),
		screenshot("phone"),
		chromedp.Click("#settings-toggle"),
		until(`document.getElementById("settings").getBoundingClientRect().width === 390`),
		screenshot("phone-settings"),
		chromedp.KeyEvent(kb.Escape),
		until(`document.getElementById("settings").hidden`),
		chromedp.Click("#new"),
		count(".message", "0"),
	)

	// Every control has a name.
	nameless, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll("button, input, textarea")].filter((e) =>
		!(e.textContent.trim() || e.getAttribute("aria-label") || (e.labels && e.labels.length))).map((e) => e.outerHTML)`))
	if err != nil || len(nameless) > 0 {
		t.Errorf("controls without a name: %q %v", nameless, err)
	}
}

// TestPageByKeyboard reaches and uses everything with Tab, Enter and Escape.
func TestPageByKeyboard(t *testing.T) {
	ctx := browser(t)
	fake := newFake()
	_, url := pageServer(t, fake, nil)
	focused := func(id string) step { return until(`document.activeElement.id === "` + id + `"`) }
	run(t, ctx,
		chromedp.Navigate(url),
		focused("input"),
		chromedp.KeyEvent("Hi"),
		enter,
		until(`document.getElementById("input").value === ""`),
		lastText(".message.assistant .text", "Hello, wörld!"),
		until(`!document.getElementById("send").hidden`),
		chromedp.KeyEvent(kb.Tab), focused("send"),
		chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(8)), focused("input"),
		chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(8)),
		until(`document.activeElement.dataset.action === "copy"`),
		chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(8)),
		until(`document.activeElement.dataset.action === "retry"`),
		enter,
		until(`document.querySelectorAll(".message.assistant").length === 1 && !document.getElementById("send").hidden`),
	)
}

// TestPageWithKey opens the page of a server with keys: the browser needs the key for the
// page itself, and the page takes it for its calls.
func TestPageWithKey(t *testing.T) {
	ctx := browser(t)
	fake := newFake()
	_, url := pageServer(t, fake, withKeys)
	run(t, ctx,
		chromedp.Navigate(strings.Replace(url, "http://", "http://me:"+keyAnn+"@", 1)),
		chromedp.Navigate(url),
		lastText("#model", "fake"),
		chromedp.Click("#settings-toggle"),
		chromedp.SendKeys("#key", "wrong-key-0000"+kb.Tab),
		lastText("#notice", "API key"),
		until(`(document.getElementById("key").value = "") === ""`),
		chromedp.SendKeys("#key", keyAnn+kb.Tab),
		until(`document.getElementById("notice").hidden`),
		chromedp.SendKeys("#input", "Hi"), enter,
		lastText(".message.assistant .text", "Hello, wörld!"),
	)
	if r := fake.last(); r.Key != "ann" {
		t.Errorf("the key is %q", r.Key)
	}
}

// TestPageWithoutTemplate goes on with the text, and says so.
func TestPageWithoutTemplate(t *testing.T) {
	ctx := browser(t)
	fake := newFake()
	fake.answer = " there was a fox."
	_, url := pageServer(t, fake, func(_ *Config, m *Model) { m.Chat = nil })
	run(t, ctx,
		chromedp.Navigate(url),
		lastText("#notice", "no chat template"),
		chromedp.SendKeys("#input", "Once upon a time"), enter,
		lastText(".message.assistant .text", "there was a fox."),
		screenshot("completion"),
	)
	if got := (bytesTokenizer{}).Decode(fake.last().Prompt, true); got != "Once upon a time" {
		t.Errorf("the prompt is %q", got)
	}
}
