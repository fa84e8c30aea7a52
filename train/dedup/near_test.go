package dedup

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/train/words"
)

// edited returns a text of n words and a copy of it in which changes of them are others.
func edited(random *rand.Rand, n, changes int) (text, copied string) {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("w", random.IntN(1<<20))
	}
	text = strings.Join(list, " ")
	for range changes {
		list[random.IntN(n)] = fmt.Sprint("x", random.IntN(1<<20))
	}
	return text, strings.Join(list, ", ")
}

// jaccard returns the similarity of two texts by sets of their shingles as strings.
func jaccard(x, y string) float64 {
	set := func(text string) map[string]bool {
		list := strings.Fields(strings.ReplaceAll(text, ",", ""))
		m := map[string]bool{}
		for i := 0; i+shingle <= len(list); i++ {
			m[strings.Join(list[i:i+shingle], " ")] = true
		}
		return m
	}
	a, b := set(x), set(y)
	both := 0
	for s := range a {
		if b[s] {
			both++
		}
	}
	return float64(both) / float64(len(a)+len(b)-both)
}

// TestSimilarity compares the estimate with the similarity: its error is that of a mean of
// 128 values, more where a text has few shingles, and none in one direction.
func TestSimilarity(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, length := range []int{20, 100, 1000} {
		sum, squares, most := 0.0, 0.0, 1.2
		if length == 20 {
			most = 1.7
		}
		const pairs = 400
		for i := range pairs {
			x, y := edited(random, length, i*length/(8*pairs))
			n := NewNear(0.8, 1<<20)
			want := jaccard(x, y)
			off := n.Sketch(words.Split(nil, x)).Similarity(n.Sketch(words.Split(nil, y))) - want
			sum += off
			squares += off * off / max(want*(1-want)/values, 1e-4)
		}
		if mean, spread := sum/pairs, math.Sqrt(squares/pairs); math.Abs(mean) > 0.01 || spread > most {
			t.Errorf("%d words: off by %.4f on average, spread %.2f of the binomial", length, mean, spread)
		}
	}
}

// TestNearRecall adds texts and edited copies: those well above the threshold are found,
// those well below are not.
func TestNearRecall(t *testing.T) {
	for _, threshold := range []float64{0.5, 0.8, 0.9} {
		random := rand.New(rand.NewPCG(2, 2))
		n := NewNear(threshold, 64<<20)
		var above, found, below, wrong int
		for i := range 1500 {
			length := 60 + random.IntN(500)
			x, y := edited(random, length, int(float64(length*(i%30))*(1-threshold)/100))
			n.Add(n.Sketch(words.Split(nil, x)))
			before := n.Add(n.Sketch(words.Split(nil, y)))
			switch j := jaccard(x, y); {
			case j >= threshold+0.06:
				if above++; before {
					found++
				}
			case j <= threshold-0.08:
				if below++; before {
					wrong++
				}
			}
		}
		t.Logf("threshold %g: %d of %d found, %d of %d wrong", threshold, found, above, wrong, below)
		if above < 200 || below < 200 || found < above*98/100 || wrong > below*2/100 {
			t.Errorf("threshold %g: %d of %d found, %d of %d wrong", threshold, found, above, wrong, below)
		}
	}
}

// TestNearStories compares with all pairs of real texts.
func TestNearStories(t *testing.T) {
	texts := stories(t)
	n := NewNear(0.8, 1<<30)
	var kept []string
	missed, wrong, found := 0, 0, 0
	for i, text := range texts {
		most := 0.0
		for _, k := range kept {
			if len(k) < 2*len(text) && len(text) < 2*len(k) {
				most = max(most, jaccard(k, text))
			}
		}
		switch before := n.Add(n.Sketch(words.Split(nil, text))); {
		case before && most < 0.7 || !before && most > 0.9:
			t.Errorf("text %d: came before %v, where the most similar is so by %.2f", i, before, most)
		case before:
			if found++; most < 0.8 {
				wrong++
			}
			continue
		case most >= 0.8:
			missed++
		}
		kept = append(kept, text)
	}
	t.Logf("of %d texts %d came before, %d of these below 0.8; %d above it were not found", len(texts), found, wrong, missed)
}

// stories returns short real texts, each second with a copy in which words are left out.
func stories(t testing.TB) (texts []string) {
	t.Helper()
	f, err := os.Open("../../../shared/data/pretrain/storybooks.train.jsonl.gz")
	if err != nil {
		t.Skip("the shared data are not there: ", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 5))
	for d := json.NewDecoder(z); len(texts) < 250; {
		var row struct{ Text string }
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		list := strings.Fields(strings.ToLower(row.Text))
		texts = append(texts, strings.Join(list, " "))
		if len(texts)%2 == 0 {
			for range 1 + random.IntN(1+len(list)/20) {
				at := random.IntN(len(list))
				list = append(list[:at:at], list[at+1:]...)
			}
			texts = append(texts, strings.Join(list, " "))
		}
	}
	return texts
}

// TestNearMemory: when it is full it takes nothing in, and still knows what it has.
func TestNearMemory(t *testing.T) {
	const memory = 4 << 20
	n := NewNear(0.8, memory)
	random := rand.New(rand.NewPCG(3, 3))
	var first []*Sketch
	for range 20000 {
		x, _ := edited(random, 50, 0)
		s := n.Sketch(words.Split(nil, x))
		if n.Add(s) {
			t.Fatal("a random text came before")
		}
		first = append(first, s)
	}
	if !n.Full() || n.bytes() > memory || n.Documents() < 4096 {
		t.Fatalf("%d texts in %d bytes, full: %v", n.Documents(), n.bytes(), n.Full())
	}
	for i, s := range first {
		if n.Add(s) != (i < n.Documents()) {
			t.Fatalf("text %d of %d: came before is %v", i, n.Documents(), i >= n.Documents())
		}
	}
	if n.Add(n.Sketch(words.Split(nil, "?! --"))) || n.Add(nil) {
		t.Error("a text without words came before")
	}
}

// TestNearOfMany: texts that all share a band do not make the index slow, and the same
// text is found among them.
func TestNearOfMany(t *testing.T) {
	n := NewNear(0.9, 16<<20)
	for i := range 5000 {
		s := &Sketch{bands: []uint32{7, uint32(i) + 100}}
		for v := range s.low {
			s.low[v] = byte(words.Mix(uint64(i*values + v)))
		}
		n.Add(s)
		if !n.Add(s) {
			t.Fatalf("text %d did not come before", i)
		}
	}
	if n.used != 5000+maxSame {
		t.Errorf("%d bands are kept", n.used)
	}
}

func BenchmarkSketch(b *testing.B) {
	text := strings.Join(stories(b), "\n")
	w := words.Split(nil, text)
	n := NewNear(0.8, 1<<20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		n.Sketch(w)
	}
}
