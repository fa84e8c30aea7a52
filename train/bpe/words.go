package bpe

import (
	"context"
	"iter"
	"strings"
	"sync"

	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// Words tells how often each word occurs.
type Words map[string]int64

// NewSplit returns the function that splits texts into words as the pre-tokenizer of this
// name does (tokenizer.PreTokenizers). It is safe for concurrent use.
func NewSplit(pre string, special []string) (func(text string, word func(string)), error) {
	s, err := tokenizer.NewSplitter(pre, special)
	if err != nil {
		return nil, err
	}
	return s.Split, nil
}

// maxWordBytes is the length of the longest word. Longer ones, which are no language
// (data in base 64, a line of dashes), count as their parts of this length.
const maxWordBytes = 4096

// batchBytes is how much text goes to a counter at a time: enough to make handing over
// cheap.
const batchBytes = 256 << 10

// Count splits texts into words with a number of threads and counts them. The sum does
// not depend on the threads. It ends at the first error of texts or of ctx, which it
// returns. Its memory grows with the distinct words, not with the texts.
func Count(ctx context.Context, texts iter.Seq2[string, error], split func(text string, word func(string)), threads int) (Words, error) {
	batches := make(chan []string, threads)
	counters := make([]counter, threads)
	var wg sync.WaitGroup
	for i := range counters {
		counters[i] = counter{}
		wg.Go(func() {
			for batch := range batches {
				for _, text := range batch {
					split(text, counters[i].add)
				}
			}
		})
	}
	err := handOut(ctx, texts, batches)
	close(batches)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	return sum(counters), nil
}

// handOut groups texts into batches.
func handOut(ctx context.Context, texts iter.Seq2[string, error], batches chan<- []string) error {
	var batch []string
	size := 0
	for text, err := range texts {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		batch = append(batch, text)
		if size += len(text); size >= batchBytes {
			batches <- batch
			batch, size = nil, 0
		}
	}
	batches <- batch
	return nil
}

// counter is one thread's count, by address so that counting again writes no map.
type counter map[string]*int64

func (c counter) add(word string) {
	for len(word) > maxWordBytes {
		c.one(word[:maxWordBytes])
		word = word[maxWordBytes:]
	}
	c.one(word)
}

func (c counter) one(word string) {
	if n, ok := c[word]; ok {
		*n++
		return
	}
	n := int64(1)
	c[strings.Clone(word)] = &n // the text itself need not stay
}

func sum(counters []counter) Words {
	total := Words{}
	for _, c := range counters {
		for word, n := range c {
			total[word] += *n
		}
	}
	return total
}
