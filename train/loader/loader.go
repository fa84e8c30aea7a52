// Package loader turns token shards into the batches of training: documents in a seeded
// global order, epoch after epoch, mixed by weight, cut into sequences that fill a batch.
// Its State resumes to the exact token.
package loader

import (
	"fmt"
	"math/rand/v2"

	"github.com/ingot-llm/ingot/train/shard"
)

// Source is one part of a mixture.
type Source struct {
	Name   string
	Shards []*shard.Shard
	Weight float64 // share of the tokens, as against the other sources'
}

// Sequence is a document or a part of one, in the loader's memory until the next call.
type Sequence struct {
	Tokens []int32
	// Targets: the token that follows each; -1 after the document's last and where what
	// follows is not learned.
	Targets []int32
}

// Options say how documents become batches.
type Options struct {
	Tokens  int    // of a batch, at most
	Context int    // of a sequence, at most
	Seed    uint64 // of the order
	// Whole keeps documents whole where they fit the context, and leaves the rest of a
	// batch empty where the next one does not fit; longer ones are cut off. Else batches
	// are filled, and documents go on in the next sequence.
	Whole bool
}

// Loader gives batches for ever. One goroutine.
type Loader struct {
	options Options
	sources []*stream
	batch   []Sequence
	ids     []int32
	learned []bool
	arena   []int32
}

// stream is one source's documents in their order.
type stream struct {
	Source
	place Place
	first []int   // number of the first document of each shard
	order []int32 // of this epoch
	tag   uint64  // tells its order from that of the other sources
}

// Place is where a source goes on.
type Place struct {
	Epoch    int   `json:"epoch"`
	Document int   `json:"document"` // in the epoch's order
	Token    int   `json:"token"`    // in the document
	Tokens   int64 `json:"tokens"`   // taken in all
}

// State is where a Loader goes on, by source.
type State map[string]Place

// New returns a loader at the beginning. Sources without documents are refused.
func New(sources []Source, o Options) (*Loader, error) {
	if o.Tokens < 1 || o.Context < 2 || o.Context > o.Tokens {
		return nil, fmt.Errorf("batches of %d tokens cannot hold sequences of %d", o.Tokens, o.Context)
	}
	l := &Loader{options: o}
	seen := map[string]bool{}
	for i, s := range sources {
		documents := 0
		st := &stream{Source: s, tag: uint64(i)}
		for _, sh := range s.Shards {
			st.first = append(st.first, documents)
			documents += sh.Documents()
		}
		if documents == 0 || !(s.Weight > 0) || seen[s.Name] {
			return nil, fmt.Errorf("source %q has %d documents and the weight %g: it needs a name of its own, documents and a weight above 0", s.Name, documents, s.Weight)
		}
		seen[s.Name] = true
		st.order = make([]int32, documents)
		l.sources = append(l.sources, st)
		l.shuffle(st)
	}
	if len(l.sources) == 0 {
		return nil, fmt.Errorf("there is nothing to train on")
	}
	return l, nil
}

// shuffle makes the order of the source's epoch, a function of seed, source and epoch.
func (l *Loader) shuffle(s *stream) {
	for i := range s.order {
		s.order[i] = int32(i)
	}
	random := rand.New(rand.NewPCG(l.options.Seed, s.tag<<32|uint64(s.place.Epoch)))
	random.Shuffle(len(s.order), func(i, j int) { s.order[i], s.order[j] = s.order[j], s.order[i] })
}

// State returns where the loader goes on.
func (l *Loader) State() State {
	state := State{}
	for _, s := range l.sources {
		state[s.Name] = s.place
	}
	return state
}

// Resume goes on at a state of a loader of the same sources and options.
func (l *Loader) Resume(state State) error {
	for _, s := range l.sources {
		p, ok := state[s.Name]
		if !ok || p.Document < 0 || p.Document >= len(s.order) || p.Epoch < 0 || p.Token < 0 || p.Tokens < 0 {
			return fmt.Errorf("the saved place in source %q is %+v, where it has %d documents: the data have changed", s.Name, p, len(s.order))
		}
		s.place = p
		l.shuffle(s)
		if sh, d := s.current(); p.Token >= sh.Len(d) {
			return fmt.Errorf("the saved place in source %q is token %d of a document of %d: the data have changed", s.Name, p.Token, sh.Len(d))
		}
	}
	return nil
}

// Epochs returns how often the source gone through most often was.
func (l *Loader) Epochs() (n int) {
	for _, s := range l.sources {
		n = max(n, s.place.Epoch)
	}
	return n
}

// Next returns the sequences of the next batch, at least one of which has a target. They
// are valid until the call after.
func (l *Loader) Next() []Sequence {
	for {
		if l.fill() > 0 {
			return l.batch
		}
	}
}

// fill makes a batch and returns how many targets it has.
func (l *Loader) fill() (targets int) {
	l.batch, l.arena = l.batch[:0], l.arena[:0]
	for left := l.options.Tokens; left > 0; {
		n := l.take(l.poorest(), left)
		if n == 0 {
			break
		}
		left -= n
		for _, t := range l.batch[len(l.batch)-1].Targets {
			if t >= 0 {
				targets++
			}
		}
	}
	return targets
}

// poorest returns the source that lags furthest behind its share.
func (l *Loader) poorest() *stream {
	best := l.sources[0]
	for _, s := range l.sources[1:] {
		if float64(s.place.Tokens)/s.Weight < float64(best.place.Tokens)/best.Weight {
			best = s
		}
	}
	return best
}

// take appends the source's next sequence of up to left tokens and returns how many it
// has: 0 where a whole document does not fit.
func (l *Loader) take(s *stream, left int) int {
	sh, d := s.current()
	rest := sh.Len(d) - s.place.Token
	n := min(rest, l.options.Context)
	if l.options.Whole && n > left {
		return 0
	}
	n = min(n, left)
	l.batch = append(l.batch, l.sequence(sh, d, s.place.Token, n))
	s.place.Tokens += int64(n)
	if s.place.Token += n; s.place.Token == sh.Len(d) || l.options.Whole {
		l.advance(s)
	}
	return n
}

func (s *stream) current() (*shard.Shard, int) {
	d := int(s.order[s.place.Document])
	i := len(s.first) - 1
	for s.first[i] > d {
		i--
	}
	return s.Shards[i], d - s.first[i]
}

func (l *Loader) advance(s *stream) {
	s.place.Token = 0
	if s.place.Document++; s.place.Document == len(s.order) {
		s.place.Document = 0
		s.place.Epoch++
		l.shuffle(s)
	}
}

// sequence returns n tokens of document d from token from on, with their targets.
func (l *Loader) sequence(sh *shard.Shard, d, from, n int) Sequence {
	l.ids, l.learned = sh.Read(d, from, min(from+n+1, sh.Len(d)), l.ids[:0], l.learned[:0])
	at := len(l.arena)
	l.arena = append(l.arena, l.ids[:n]...)
	for i := range n {
		target := int32(-1)
		if i+1 < len(l.ids) && l.learned[i+1] {
			target = l.ids[i+1]
		}
		l.arena = append(l.arena, target)
	}
	return Sequence{Tokens: l.arena[at : at+n : at+n], Targets: l.arena[at+n : at+2*n : at+2*n]}
}
