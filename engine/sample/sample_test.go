package sample

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
)

// normal returns n logits as a language model gives them: a wide bell with a few tall ones.
func normal(rng *rand.Rand, n int) []float32 {
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 2.5)
	}
	for range 20 {
		logits[rng.IntN(n)] += float32(rng.Float64() * 12)
	}
	return logits
}

// with returns the default parameters, changed.
func with(change func(*Params)) *Params {
	p := Default()
	change(&p)
	return &p
}

// TestPhilox holds philox to the known answers of the Random123 library.
func TestPhilox(t *testing.T) {
	const ones = 0xFFFFFFFF
	for _, c := range []struct {
		key     uint64
		counter [4]uint32
		want    [4]uint32
	}{
		{0, [4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{1<<64 - 1, [4]uint32{ones, ones, ones, ones}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{0x299f31d0a4093822, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.key, c.counter); got != c.want {
			t.Errorf("philox(%x, %x) = %x, want %x", c.key, c.counter, got, c.want)
		}
	}
}

// TestScan holds what is looked for in a row to plain loops: over rows of either sign, with
// masks, any number of largest logits, and with one bad logit of either sign anywhere.
func TestScan(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 13))
	s := newSampler(t)
	read := func(logits []float32) *kernels.Row {
		rows := []kernels.Row{{X: logits}}
		if err := s.reader.Read(rows); err != nil {
			t.Fatal(err)
		}
		return &rows[0]
	}
	for round := range 2000 {
		logits := normal(rng, 1+rng.IntN(1500))
		shift := float32(rng.IntN(5)-2) * 12
		for i := range logits {
			if logits[i] += shift; round%3 == 0 && rng.IntN(4) == 0 {
				logits[i] = float32(math.Inf(-1))
			}
		}
		logits[rng.IntN(len(logits))] = 0.25
		k := 1 + rng.IntN(min(len(logits), 60))
		sorted := slices.Sorted(slices.Values(logits))
		r := read(logits)
		if got, want := argmax(r), slices.Index(logits, sorted[len(sorted)-1]); int(got) != want || check(r) != nil {
			t.Fatalf("round %d: the largest stands at %d, want %d (%v)", round, got, want, check(r))
		}
		if got := s.kth(r, k); got != sorted[len(sorted)-k] {
			t.Fatalf("round %d: the %d-th largest is %v, want %v", round, k, got, sorted[len(sorted)-k])
		}
		floor := sorted[rng.IntN(len(sorted))]
		n := 0
		above(r, floor, func(id int32, v float32) {
			if n++; v < floor || logits[id] != v {
				t.Fatalf("round %d: logit %d is %v, want at least %v", round, id, v, floor)
			}
		})
		if at, _ := slices.BinarySearch(sorted, floor); n != len(sorted)-at {
			t.Fatalf("round %d: %d logits are at least %v, want %d", round, n, floor, len(sorted)-at)
		}
		bad := []uint32{0x7F800000, 0x7F800001, 0x7FC00000, 0xFF800001, 0xFFC00000, 0xFFFFFFFF}[round%6]
		logits[rng.IntN(len(logits))] = math.Float32frombits(bad)
		if err := check(read(logits)); !errors.Is(err, ErrBadLogits) {
			t.Fatalf("round %d: a logit of bits %x: %v", round, bad, err)
		}
	}
}

// TestFilters holds each filter to its definition, over random rows with ties.
func TestFilters(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := newSampler(t)
	for round := range 300 {
		n := 1 + rng.IntN(700)
		logits := normal(rng, n)
		for range rng.IntN(n) { // ties
			logits[rng.IntN(n)] = logits[rng.IntN(n)]
		}
		plain := distribution(t, s, logits, NewState(with(func(*Params) {}), 0, nil))
		k, p := 1+rng.IntN(n), rng.Float32()
		for name, c := range map[string]struct {
			params *Params
			want   []bool
		}{
			"top_k":     {with(func(q *Params) { q.TopK = k }), wantTopK(plain, k)},
			"top_p":     {with(func(q *Params) { q.TopP = p }), wantSmallest(plain, float64(p), func(x float64) float64 { return -x })},
			"min_p":     {with(func(q *Params) { q.MinP = p }), wantMinP(plain, float64(p))},
			"min_p 1":   {with(func(q *Params) { q.MinP = 1 }), wantMinP(plain, 1)},
			"typical_p": {with(func(q *Params) { q.TypicalP = p }), wantTypical(plain, float64(p))},
			"top_p 0":   {with(func(q *Params) { q.TopP = 0 }), wantSmallest(plain, 1e-300, func(x float64) float64 { return -x })},
		} {
			got := distribution(t, s, logits, NewState(c.params, 0, nil))
			sum := 0.0
			for id := range got {
				if sum += got[id]; (got[id] > 0) != c.want[id] {
					t.Fatalf("round %d %s (k %d, p %v): token %d of %d has probability %v, before %v", round, name, k, p, id, n, got[id], plain[id])
				}
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Fatalf("%s: probabilities sum to %v", name, sum)
			}
		}
	}
}

func wantTopK(probs []float64, k int) []bool {
	sorted := slices.Clone(probs)
	slices.Sort(sorted)
	return mark(probs, func(p float64) bool { return p >= sorted[len(sorted)-k] })
}

func wantMinP(probs []float64, p float64) []bool {
	high := slices.Max(probs)
	return mark(probs, func(x float64) bool { return x >= p*high })
}

func wantTypical(probs []float64, p float64) []bool {
	entropy := 0.0
	for _, x := range probs {
		entropy -= x * math.Log(x)
	}
	key := func(x float64) float64 {
		return math.Round(math.Abs(-math.Log(x)-entropy)*1e8) / 1e8 // equal where the exact ones are
	}
	want, last := wantSmallest(probs, p, key), 0.0
	for id, in := range want {
		if in {
			last = max(last, key(probs[id]))
		}
	}
	return mark(probs, func(x float64) bool { return key(x) <= last })
}

// wantSmallest marks tokens in the order of key, then id, until their sum reaches mass.
func wantSmallest(probs []float64, mass float64, key func(float64) float64) []bool {
	ids := make([]int, len(probs))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int {
		switch x, y := key(probs[a]), key(probs[b]); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return a - b
	})
	want, sum := make([]bool, len(probs)), 0.0
	for _, id := range ids {
		if sum >= mass {
			break
		}
		want[id] = true
		sum += probs[id]
	}
	return want
}

func mark(probs []float64, keep func(float64) bool) []bool {
	want := make([]bool, len(probs))
	for i, p := range probs {
		want[i] = keep(p)
	}
	return want
}

// TestFrequencies draws 20,000 tokens and compares the counts with the probabilities by
// chi-square: with 149 degrees of freedom a correct sampler exceeds 222 for 1 seed in
// 10,000, and these seeds are fixed.
func TestFrequencies(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	logits := make([]float32, 150) // three strips
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 0.7)
	}
	for name, p := range map[string]*Params{
		"plain":       with(func(p *Params) { p.Seed = 11 }),
		"temperature": with(func(p *Params) { p.Seed, p.Temperature = 12, 1.8 }),
		"top_p":       with(func(p *Params) { p.Seed, p.TopP = 13, 0.8 }),
	} {
		const draws = 20000
		st, s, counts := NewState(p, 0, nil), newSampler(t), make([]float64, len(logits))
		probs := distribution(t, newSampler(t), logits, st)
		for range draws {
			id, err := draw(s, logits, st)
			if err != nil {
				t.Fatal(err)
			}
			counts[id]++
			st.Accept(id)
		}
		chi := 0.0
		for id, n := range counts {
			if probs[id] == 0 {
				if n > 0 {
					t.Errorf("%s: token %d of probability 0 was drawn", name, id)
				}
				continue
			}
			chi += (n - draws*probs[id]) * (n - draws*probs[id]) / (draws * probs[id])
		}
		if chi > 222 {
			t.Errorf("%s: chi-square %.1f", name, chi)
		}
	}
}

// TestSeededResultIsAFunction draws the same sequences alone, in turns with others, and
// after a restart: only seed, index, place and logits count.
func TestSeededResultIsAFunction(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	rows := make([][]float32, 50)
	for i := range rows {
		rows[i] = normal(rng, 1000)
	}
	place := func(s *Sampler, st *State, i int) int32 {
		id, err := draw(s, rows[i], st)
		again, _ := draw(s, rows[i], st)
		if err != nil || again != id {
			t.Fatalf("drew %d, then %d (%v)", id, again, err)
		}
		st.Accept(id)
		return id
	}
	p := with(func(p *Params) { p.Seed, p.TopP, p.Temperature, p.RepetitionPenalty = 9, 0.95, 1.5, 1.1 })
	alone := map[int][]int32{}
	for index := range 4 {
		s, st := newSampler(t), NewState(p, index, nil)
		for i := range rows {
			alone[index] = append(alone[index], place(s, st, i))
		}
	}
	s, turns := newSampler(t), make([]*State, 4)
	for index := range turns {
		turns[index] = NewState(p, index, nil)
	}
	for i := range rows {
		for index, st := range turns {
			if got := place(s, st, i); got != alone[index][i] {
				t.Fatalf("choice %d place %d: %d in turns, %d alone", index, i, got, alone[index][i])
			}
		}
	}
	other := NewState(with(func(q *Params) { *q = *p; q.Seed = 10 }), 0, nil)
	same := 0
	for i := range rows {
		if place(s, other, i) == alone[0][i] {
			same++
		}
	}
	if slices.Equal(alone[0], alone[1]) || same == len(rows) {
		t.Error("other choices or seeds give the same tokens")
	}
}

// crowd returns draws of many kinds, those of three choices of one request included, which
// share a row that their penalties change.
func crowd(rng *rand.Rand, vocab int) (draws []Draw) {
	for i, change := range []func(p *Params){
		func(p *Params) {},
		func(p *Params) { p.Temperature = 0 },
		func(p *Params) { p.Temperature = 1e-40 },
		func(p *Params) { p.Temperature = 30 },
		func(p *Params) {
			p.Temperature, p.RepetitionPenalty, p.LogitBias = 0.7, 1.3, []Bias{{3, float32(math.Inf(-1))}}
		},
		func(p *Params) { p.TopK = 20 },
		func(p *Params) { p.TopK, p.TopP, p.MinP, p.TypicalP = 50, 0.9, 0.01, 0.9 },
		func(p *Params) { p.TopP = 0.9 },
		func(p *Params) { p.TopP = math.Nextafter32(1, 0) },
		func(p *Params) { p.TopP, p.Temperature = 0.99, 3 },
		func(p *Params) { p.MinP = 0.02 },
		func(p *Params) { p.TypicalP = 0.8 },
		func(p *Params) { p.TypicalP = math.Nextafter32(1, 0) },
	} {
		p := with(change)
		p.Seed = rng.Uint64()
		logits := normal(rng, vocab)
		if i%3 == 1 {
			for range vocab / 2 {
				logits[rng.IntN(vocab)] = float32(math.Inf(-1))
			}
		}
		for index := range 1 + i%4 {
			draws = append(draws, Draw{Logits: logits, State: NewState(p, index, []int32{1, 2, 2})})
		}
	}
	return draws
}

// TestManyDrawAsOne: a token is the same whether it is drawn alone or beside others, and
// whichever table reads the row, with however many threads.
func TestManyDrawAsOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	reference := newSampler(t)
	lib := kernels.Open(3, kernels.Options{})
	defer lib.Close()
	for _, vocab := range []int{5, 64, 1000, 4097} {
		for range 20 {
			draws := crowd(rng, vocab)
			before := slices.Clone(draws[0].Logits)
			var want []int32
			for _, d := range draws {
				id, err := draw(reference, d.Logits, d.State)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, id)
			}
			for _, table := range lib.Tables() {
				s := New(table)
				s.Sample(draws)
				s.Close()
				for i, d := range draws {
					if d.Err != nil || d.Token != want[i] {
						t.Fatalf("%s, vocabulary %d: draw %d gives %d (%v) among others, %d alone", table.Name, vocab, i, d.Token, d.Err, want[i])
					}
				}
			}
			if !slices.Equal(before, draws[0].Logits) {
				t.Fatal("the logits were not restored")
			}
		}
	}
}

func TestGreedyTakesTheFirstLargest(t *testing.T) {
	s := newSampler(t)
	for n := 1; n < 300; n += 7 {
		logits := make([]float32, n)
		for i := n / 2; i < n; i++ {
			logits[i] = 3
		}
		got, err := draw(s, logits, NewState(with(func(p *Params) { p.Temperature, p.TopP, p.TopK = 0, 0.1, 3 }), 0, nil))
		if err != nil || got != int32(n/2) {
			t.Errorf("%d logits: token %d, want %d (%v)", n, got, n/2, err)
		}
	}
}

// TestEdits applies penalties, bias and the mask of stop tokens before MinTokens.
func TestEdits(t *testing.T) {
	p := with(func(p *Params) {
		p.RepetitionPenalty, p.PresencePenalty, p.FrequencyPenalty = 2, 0.5, 0.25
		p.LogitBias = []Bias{{0, 7}, {1, float32(math.Inf(-1))}}
		p.MinTokens, p.EOS, p.StopIDs = 3, []int32{4}, []int32{5}
	})
	masked := float32(math.Inf(-1))
	for _, c := range []struct {
		ignoreEOS bool
		answer    []int32
		want      []float32
	}{
		{false, nil, []float32{8, masked, 1, -2, masked, masked}},     // 2 and 3 in the prompt
		{true, []int32{2, 2}, []float32{8, masked, 0, -2, 1, masked}}, // 2 / 2 - 0.5 - 2 * 0.25
		{false, []int32{3, 0, 3}, []float32{0.5 - 0.75 + 7, masked, 1, -2 - 1, 1, 1}},
	} {
		q := *p
		q.IgnoreEOS = c.ignoreEOS
		st := NewState(&q, 0, []int32{2, 3, 2})
		for _, id := range c.answer {
			st.Accept(id)
		}
		logits := []float32{1, 1, 2, -1, 1, 1}
		undo := st.edit(logits, nil)
		if !slices.Equal(logits, c.want) {
			t.Errorf("after %v: %v, want %v", c.answer, logits, c.want)
		}
		restore(logits, undo)
		if !slices.Equal(logits, []float32{1, 1, 2, -1, 1, 1}) {
			t.Errorf("restored to %v", logits)
		}
	}
}

func TestStops(t *testing.T) {
	p := with(func(p *Params) { p.EOS, p.StopIDs = []int32{1}, []int32{2} })
	q := with(func(q *Params) { *q = *p; q.IgnoreEOS = true })
	if got := fmt.Sprint(p.Stops(1), p.Stops(2), p.Stops(3), q.Stops(1), q.Stops(2)); got != "true true false false true" {
		t.Error(got)
	}
}

// TestBadLogits: one request fails, and says why.
func TestBadLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		logits []float32
		want   error
		text   string
	}{
		{[]float32{nan, 1, 2}, ErrBadLogits, "logit 0 is NaN"},
		{[]float32{1, 2, nan}, ErrBadLogits, "logit 2 is NaN"},
		{append(make([]float32, 99), inf), ErrBadLogits, "logit 99 is +Inf"},
		{[]float32{-inf, -inf}, ErrNoToken, "all 2 are masked"},
	} {
		s := newSampler(t)
		for _, temperature := range []float32{0, 1} {
			_, err := draw(s, c.logits, NewState(with(func(p *Params) { p.Temperature = temperature }), 0, nil))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v: %v", c.logits, err)
			}
		}
		if _, _, err := s.Logprobs(nil, c.logits, 0, 1); !errors.Is(err, c.want) {
			t.Errorf("Logprobs %v: %v", c.logits, err)
		}
	}
	s := newSampler(t)
	some := []float32{-inf, 1, -inf}
	for _, p := range []*Params{with(func(*Params) {}), with(func(p *Params) { p.TopK = 2 }), with(func(p *Params) { p.TypicalP = 0.5 }), with(func(p *Params) { p.TopP = 0.5 })} {
		if id, err := draw(s, some, NewState(p, 0, nil)); id != 1 || err != nil {
			t.Errorf("drew %d (%v) where only 1 is left", id, err)
		}
	}
}

func TestValidate(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		change func(*Params)
		want   string
	}{
		{func(*Params) {}, ""},
		{func(p *Params) { p.Temperature = nan }, "temperature is NaN"},
		{func(p *Params) { p.Temperature = float32(math.Inf(1)) }, "temperature is +Inf"},
		{func(p *Params) { p.TopK = -1 }, "top_k is -1"},
		{func(p *Params) { p.TopP = 1.5 }, "top_p is 1.5, must be in [0, 1]"},
		{func(p *Params) { p.RepetitionPenalty = 0 }, "repetition_penalty is 0"},
		{func(p *Params) { p.MinTokens = -2 }, "min_tokens is -2"},
		{func(p *Params) { p.LogitBias = []Bias{{100, 1}} }, "logit_bias names token 100, the vocabulary has 100"},
		{func(p *Params) { p.LogitBias = []Bias{{1, nan}} }, "logit_bias of token 1 is NaN"},
		{func(p *Params) { p.StopIDs = []int32{-1} }, "stop token -1"},
	} {
		err := with(c.change).Validate(100)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("Validate = %v, want %q", err, c.want)
		}
	}
}

// TestLogprobs compares with a plain log-softmax and a full sort.
func TestLogprobs(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	s := newSampler(t)
	for range 100 {
		n := 1 + rng.IntN(2000)
		logits := normal(rng, n)
		for range rng.IntN(n) {
			logits[rng.IntN(n)] = logits[rng.IntN(n)]
		}
		sum := 0.0
		for _, v := range logits {
			sum += math.Exp(float64(v))
		}
		all := make([]Logprob, n)
		for id, v := range logits {
			all[id] = Logprob{int32(id), float32(float64(v) - math.Log(sum))}
		}
		token, k := int32(rng.IntN(n)), rng.IntN(25)
		chosen, top, err := s.Logprobs(nil, logits, token, k)
		if err != nil || math.Abs(float64(chosen-all[token].Logprob)) > 1e-5 {
			t.Fatalf("token %d: %v, want %v (%v)", token, chosen, all[token].Logprob, err)
		}
		slices.SortStableFunc(all, func(a, b Logprob) int {
			return int(math.Copysign(1, float64(logits[b.Token])-float64(logits[a.Token])) * min(1, math.Abs(float64(logits[a.Token])-float64(logits[b.Token]))*1e9))
		})
		if len(top) != min(k, n) {
			t.Fatalf("%d alternatives of %d asked", len(top), k)
		}
		for i, x := range top {
			if x.Token != all[i].Token || math.Abs(float64(x.Logprob-all[i].Logprob)) > 1e-5 {
				t.Fatalf("alternative %d is %v, want %v", i, x, all[i])
			}
		}
	}
}

func TestSamplingAllocatesNothing(t *testing.T) {
	logits := normal(rand.New(rand.NewPCG(9, 9)), 5000)
	p := with(func(p *Params) {
		p.TopP, p.TopK, p.TypicalP, p.FrequencyPenalty, p.Temperature = 0.9, 4000, 0.9, 0.1, 3
	})
	s, st, list := newSampler(t), NewState(p, 0, nil), make([]Logprob, 0, 64)
	d := []Draw{{Logits: logits, State: st}}
	if n := testing.AllocsPerRun(300, func() {
		s.Sample(d)
		id := d[0].Token
		_, _, _ = s.Logprobs(list, logits, id, 20)
		st.Accept(id % 8)
	}); n != 0 {
		t.Errorf("%v allocations a token", n)
	}
}

// peaked returns a row as a trained model gives it: over a wide bell the likely tokens,
// whose probabilities fall with the power of their rank. The larger it is the less is open.
func peaked(rng *rand.Rand, n int, power float64) []float32 {
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 2)
	}
	for rank := range 2000 {
		logits[rng.IntN(n)] = float32(22 - power*math.Log(float64(rank+1)))
	}
	return logits
}

// vocabulary is llama 3's.
const vocabulary = 128256

// benchRows calls f for a row of a flat bell with some tall logits, 4.9 nats of entropy, and
// for two of trained models.
func benchRows(b *testing.B, f func(b *testing.B, logits []float32)) {
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(10, 10)) }
	for _, row := range []struct {
		name   string
		logits []float32
	}{
		{"flat", normal(rng(), vocabulary)},
		{"peaked/entropy=3.9", peaked(rng(), vocabulary, 1.3)},
		{"peaked/entropy=1.2", peaked(rng(), vocabulary, 2.3)},
	} {
		b.Run(row.name, func(b *testing.B) { f(b, row.logits) })
	}
}

// BenchmarkSample draws from a vocabulary of 128,256 tokens.
func BenchmarkSample(b *testing.B) {
	benchRows(b, func(b *testing.B, logits []float32) {
		for _, c := range []struct {
			name   string
			params *Params
		}{
			{"greedy", with(func(p *Params) { p.Temperature = 0 })},
			{"temperature=0.7", with(func(p *Params) { p.Temperature = 0.7 })},
			{"top_k=40", with(func(p *Params) { p.TopK = 40 })},
			{"top_k=40,top_p=0.95,T=0.7", with(func(p *Params) { p.TopK, p.TopP, p.Temperature = 40, 0.95, 0.7 })},
			{"top_k=40,top_p=0.95,penalties", with(func(p *Params) {
				p.TopK, p.TopP, p.RepetitionPenalty, p.FrequencyPenalty = 40, 0.95, 1.1, 0.2
			})},
			{"min_p=0.05", with(func(p *Params) { p.MinP = 0.05 })},
			{"top_p=0.9", with(func(p *Params) { p.TopP = 0.9 })},
			{"top_p=0.95,T=0.7", with(func(p *Params) { p.TopP, p.Temperature = 0.95, 0.7 })},
			{"typical_p=0.9", with(func(p *Params) { p.TypicalP = 0.9 })},
		} {
			b.Run(c.name, func(b *testing.B) { benchSample(b, logits, c.params) })
		}
	})
}

// benchSample draws after a prompt of 1,000 tokens.
func benchSample(b *testing.B, logits []float32, p *Params) {
	prompt := make([]int32, 1000)
	for i := range prompt {
		prompt[i] = int32(i * 97)
	}
	s, d := New(kernels.Tables()[0]), []Draw{{Logits: logits, State: NewState(p, 0, prompt)}}
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		if s.Sample(d); d[0].Err != nil {
			b.Fatal(d[0].Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "us/token")
}

// BenchmarkSampleLogprobs gives what top_logprobs 5 asks for.
func BenchmarkSampleLogprobs(b *testing.B) {
	benchRows(b, func(b *testing.B, logits []float32) {
		s, list := New(kernels.Tables()[0]), make([]Logprob, 0, 64)
		defer s.Close()
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := s.Logprobs(list, logits, 5, 5); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "us/token")
	})
}
