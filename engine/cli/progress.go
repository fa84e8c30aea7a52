package cli

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// When progress is shown: work that is done within a second needs none, and a log is
// not to be flooded.
const (
	barAfter = time.Second
	logEvery = 10 * time.Second
)

// Progress shows how far a piece of long work is: a bar on a terminal, elsewhere a log
// line now and then. It appears only where the work takes over a second. One goroutine
// at a time; nil shows nothing.
type Progress struct {
	out   io.Writer
	what  string
	bytes bool
	tty   bool
	start time.Time
	next  time.Time // when something is to be shown
	bar   *progressbar.ProgressBar
}

// NewProgress starts to watch the work called what, which is counted in bytes or in
// things. out is the command's stderr.
func NewProgress(out io.Writer, what string, bytes bool) *Progress {
	p := &Progress{out: out, what: what, bytes: bytes, tty: IsTerminal(out), start: time.Now()}
	p.next = p.start.Add(logEvery)
	if p.tty {
		p.next = p.start.Add(barAfter)
	}
	return p
}

// IsTerminal reports whether a stream of a command is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Set tells that done of total are done.
func (p *Progress) Set(done, total int64) {
	if p == nil {
		return
	}
	if now := time.Now(); p.bar == nil && !now.Before(p.next) {
		p.show(now, done, total)
	}
	if p.bar != nil {
		p.bar.ChangeMax64(total)
		_ = p.bar.Set64(min(done, total)) // a terminal that is gone is no reason to stop
	}
}

func (p *Progress) show(now time.Time, done, total int64) {
	if !p.tty {
		p.next = now.Add(logEvery)
		Logger(p.out).Info(p.what, "done", done, "total", total, "elapsed", now.Sub(p.start).Round(time.Second))
		return
	}
	p.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription(p.what),
		progressbar.OptionShowBytes(p.bytes), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(), progressbar.OptionThrottle(65*time.Millisecond), progressbar.OptionClearOnFinish())
}

// Done takes the bar away. Set must not be called afterwards.
func (p *Progress) Done() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear()
	}
}

// Logger returns a logger of structured lines on a command's stderr.
func Logger(out io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, nil))
}
