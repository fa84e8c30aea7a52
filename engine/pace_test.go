package engine

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/sched"
)

// machine is what steps cost on some machine: for a step, a decoding row, a row of a
// prompt, a key that such a row sees.
type machine struct {
	name                      string
	step, decode, prompt, key time.Duration
}

// cost returns how long the machine takes for a batch.
func (m *machine) cost(b *batch.Batch) time.Duration {
	x := loadOf(b)
	return time.Duration(x[0])*m.step + time.Duration(x[1])*m.decode + time.Duration(x[2])*m.prompt + time.Duration(x[3])*m.key
}

var machines = []machine{
	{"two cores, 135M", 4 * time.Millisecond, time.Millisecond, 500 * time.Microsecond, 120},
	{"matrix unit, 135M", 4 * time.Millisecond, time.Millisecond, 50 * time.Microsecond, 40},
	{"two cores, 8B", 150 * time.Millisecond, 2 * time.Millisecond, 12 * time.Millisecond, 1500},
	{"many cores, 8B", 40 * time.Millisecond, time.Millisecond, 700 * time.Microsecond, 90},
}

// crowded runs streams sequences that decode on the machine, in its time, and a prompt of n
// tokens that comes after their first tokens. It returns the longest time between two
// tokens of a stream while the prompt is computed, and the prompt's time to the first token.
func (m *machine) crowded(t *testing.T, bound time.Duration, streams, n int) (gap, first time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := &abcModel{}
		fake.fail = func(b *batch.Batch) error { time.Sleep(m.cost(b)); return nil }
		e, err := New(Config{
			Model: fake, Tokenizer: byteTokenizer(t), EndTokens: []int32{tokEOS}, MaxStep: bound,
			Sched: sched.Config{MaxSeqs: 64, MaxBatchTokens: 1024, ChunkTokens: 512, MaxContext: 8192, MaxWaiting: 64, Blocks: 2048},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		ends := make(chan time.Duration, streams)
		for range streams {
			r := ask(strings.Repeat("-", 100), 2000)
			r.Sampling.IgnoreEOS = true
			s := submit(t, e, r)
			go func() { ends <- longestGap(t, s, 30) }()
		}
		time.Sleep(40 * (m.step + time.Duration(streams)*m.decode)) // each has had tokens
		start := time.Now()
		r := ask(strings.Repeat("+", n), 1)
		if a := read(t, submit(t, e, r)); a.last.Finish != FinishLength {
			t.Fatalf("the prompt ended by %q", a.last.Finish)
		}
		first = time.Since(start)
		e.Close()
		for range streams {
			gap = max(gap, <-ends)
		}
	})
	return gap, first
}

// longestGap reads a stream to its end and returns the longest time between two of its
// events, leaving out the first ones.
func longestGap(t *testing.T, s *Stream, skip int) (gap time.Duration) {
	last := time.Time{}
	for i := 0; ; i++ {
		ev, err := s.Next(t.Context())
		if err == io.EOF || ev.Finish != FinishNone {
			return gap
		}
		if i > skip {
			gap = max(gap, ev.At.Sub(last))
		}
		last = ev.At
	}
}

// TestLongPromptHoldsNobodyUp: whatever the machine, the streams beside a prompt of 4,096
// tokens get their tokens within the bound, and the prompt gets what the bound leaves.
func TestLongPromptHoldsNobodyUp(t *testing.T) {
	const prompt, streams = 4096, 8
	for _, m := range machines {
		for _, bound := range []time.Duration{0, 50 * time.Millisecond, 400 * time.Millisecond} {
			t.Run(fmt.Sprint(m.name, "/bound=", bound), func(t *testing.T) {
				alone := m.step + streams*m.decode
				want := bound
				if bound == 0 {
					want = max(autoStep, 2*alone)
				}
				least := alone + 17*m.prompt + 17*(prompt+17)*m.key // of a step with 16 rows at the end of the prompt
				gap, first := m.crowded(t, bound, streams, prompt)
				t.Logf("longest gap %v of %v, first token after %v", gap, want, first)
				if most := max(want+want/20, least); gap > most {
					t.Errorf("the prompt held the streams up for %v, want at most %v", gap, most)
				}
				work := prompt*m.prompt + prompt*prompt/2*m.key
				rate := float64(want-alone) / float64(want)
				if want > 2*least && first.Seconds()*rate > 1.5*work.Seconds() {
					t.Errorf("the first token took %v, for %v of work at %.0f %% of the time", first, work, 100*rate)
				}
			})
		}
	}
}

func TestMaxStepIsChecked(t *testing.T) {
	_, err := New(Config{MaxStep: -time.Millisecond, Sched: sched.Config{MaxSeqs: 1, MaxBatchTokens: 1, ChunkTokens: 1, MaxContext: 1, MaxWaiting: 1, Blocks: 1}})
	if err == nil || !strings.Contains(err.Error(), "--max-step-ms") {
		t.Errorf("a bound of -1 ms gives %v", err)
	}
}
