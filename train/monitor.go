package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/train/board"
	"github.com/ingot-llm/ingot/train/tensorboard"
)

// record is a step's line in the log.
type record struct {
	StepResult
	TokensPerSecond float64 `json:"tok_s"`
	MFU             float64 `json:"mfu,omitempty"` // share of the machine's peak
	Seconds         float64 `json:"seconds"`       // since the run began
}

// monitor shows how a run goes: a bar on a terminal, else a log line now and then, and
// every step as JSON in the run's folder, and as TensorBoard's events.
type monitor struct {
	out      io.Writer
	file     *os.File
	lines    *json.Encoder
	log      *slog.Logger
	events   *tensorboard.Writer
	bar      *progressbar.ProgressBar
	dir      string
	estimate estimate
	rate     float64 // the learning rate's peak
	from, of int     // steps
	start    time.Time
	last     time.Time // end of the last step
	next     time.Time // when a log line is due
}

const logEvery = 10 * time.Second

func newMonitor(out io.Writer, dir string, e estimate, begun board.Start) (*monitor, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the run's folder: %w", err)
	}
	file, err := openLog(filepath.Join(dir, board.LogName))
	if err != nil {
		return nil, fmt.Errorf("cannot write the log: %w", err)
	}
	events, err := tensorboard.Create(filepath.Join(dir, eventsFolder), begun.From+1)
	if err != nil {
		file.Close()
		return nil, err
	}
	m := &monitor{out: out, file: file, lines: json.NewEncoder(file), events: events, log: cli.Logger(out), dir: dir, estimate: e, rate: begun.Rate, from: begun.From, of: begun.Steps}
	m.start = time.Now()
	m.last, m.next = m.start, m.start.Add(logEvery)
	if cli.IsTerminal(out) {
		m.bar = progressbar.NewOptions(m.of, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	return m, m.write(map[string]board.Start{"run": begun})
}

// openLog opens the log for another process's lines. What a process that was killed left
// of its last line becomes a line of its own.
func openLog(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	last := []byte{'\n'}
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		_, err = file.ReadAt(last, info.Size()-1)
		if err == nil && last[0] != '\n' {
			_, err = file.WriteString("\n")
		}
		if err != nil {
			file.Close()
			return nil, err
		}
	}
	return file, nil
}

// close ends the log and makes the report of what it holds.
func (m *monitor) close() error {
	if err := errors.Join(m.file.Close(), m.events.Close()); err != nil {
		return fmt.Errorf("cannot write the log: %w", err)
	}
	path, err := board.WriteReport(m.dir)
	if path != "" {
		m.log.Info("report", "file", path)
	}
	return err
}

// step notes a step that has just ended.
func (m *monitor) step(r StepResult) error {
	now := time.Now()
	line := record{StepResult: r, TokensPerSecond: float64(r.Tokens) / now.Sub(m.last).Seconds(), Seconds: now.Sub(m.start).Seconds()}
	if m.estimate.Peak > 0 {
		line.MFU = line.TokensPerSecond * m.estimate.FLOPs / m.estimate.Peak
	}
	m.last = now
	m.show(now, line)
	if err := m.curves(line); err != nil {
		return err
	}
	return m.write(line)
}

func (m *monitor) show(now time.Time, r record) {
	if r.Skipped {
		m.log.Warn("step skipped", "step", r.Step, "reason", r.Reason)
	}
	if m.bar != nil {
		m.bar.Describe(fmt.Sprintf("loss %.3f, %.0f tok/s, MFU %.0f %%, norm %.2f, rate %.0f %%", r.Loss, r.TokensPerSecond, 100*r.MFU, r.Norm, 100*r.Share))
		_ = m.bar.Set(r.Step) // a terminal that is gone is no reason to stop
		return
	}
	if now.Before(m.next) && r.Step < m.of {
		return
	}
	m.next = now.Add(logEvery)
	left := time.Duration(float64(now.Sub(m.start)) / float64(r.Step-m.from) * float64(m.of-r.Step))
	m.log.Info("training", "step", r.Step, "of", m.of, "loss", fmt.Sprintf("%.4f", r.Loss), "tok_s", int(r.TokensPerSecond),
		"mfu", fmt.Sprintf("%.2f", r.MFU), "norm", fmt.Sprintf("%.3f", r.Norm), "lr_share", fmt.Sprintf("%.3f", r.Share), "left", left.Round(time.Second))
}

// evaluation notes and shows an evaluation, whose time does not count as a step's.
func (m *monitor) evaluation(e board.Evaluation) error {
	if m.bar != nil {
		_ = m.bar.Clear()
	}
	valid := ""
	if e.Loss > 0 {
		valid = fmt.Sprintf("validation loss %.4f; ", e.Loss)
	}
	if e.BitsPerByte > 0 {
		valid = fmt.Sprintf("validation loss %.4f, %.4f bits per byte; ", e.Loss, e.BitsPerByte)
	}
	fmt.Fprintf(m.out, "step %d: %s%s\n", e.Step, valid, strings.ReplaceAll(e.Sample, "\n", " "))
	m.last = time.Now()
	if err := m.evaluated(e); err != nil {
		return err
	}
	return m.write(e)
}

func (m *monitor) write(line any) error {
	if err := m.lines.Encode(line); err != nil {
		return fmt.Errorf("cannot write the log: %w", err)
	}
	return nil
}
