package train

import (
	"path/filepath"
	"testing"
)

// BenchmarkJudge reads, filters and compares the shared corpus with two threads: all but
// tokenizing.
func BenchmarkJudge(b *testing.B) {
	files, err := filepath.Glob("../../shared/data/pretrain/*.train.jsonl.gz")
	if err != nil || len(files) == 0 {
		b.Skip("the shared data are not there")
	}
	for name, o := range map[string]dataOptions{
		"exact": {dedup: "exact"}, "near": {dedup: "near"},
		"near+filters": {dedup: "near", filters: []string{"repetition", "gopher", "c4"}},
	} {
		b.Run(name, func(b *testing.B) {
			o.field, o.memory, o.similarity = "text", 4, 0.8
			for b.Loop() {
				judge, err := newJudge(&o)
				if err != nil {
					b.Fatal(err)
				}
				d := &dataMaker{dataOptions: o, judge: judge, near: judge.near, exact: o.newExact()}
				for range d.fresh(inOrder(d.batches(files, nil), 2, d.judge.batch)) {
				}
				b.SetBytes(d.report.Read.Bytes)
			}
		})
	}
}
