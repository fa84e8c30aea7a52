package words

import (
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplit(t *testing.T) {
	text := " It's “Été”,\u00a0ÉTÉ! -- 12 漢字a é\xffb\n"
	want := []struct {
		text    string
		runes   int32
		letters bool
	}{{"It's", 4, true}, {"“Été”,", 6, true}, {"ÉTÉ!", 4, true}, {"--", 2, false}, {"12", 2, false},
		{"漢", 1, true}, {"字", 1, true}, {"a", 1, true}, {"é\xffb", 3, true}}
	got := Split(nil, text)
	if len(got) != len(want) {
		t.Fatalf("%d words, want %d", len(got), len(want))
	}
	for i, w := range got {
		if s := text[w.From:w.To]; s != want[i].text || w.Runes != want[i].runes || w.Letters != want[i].letters {
			t.Errorf("word %d: %q, %+v; want %+v", i, s, w, want[i])
		}
	}
	if got[1].Hash != got[2].Hash || got[3].Hash != 0 || got[0].Hash == got[1].Hash || got[0].Hash != Split(nil, "(ITS)")[0].Hash {
		t.Errorf("hashes %+v", got)
	}
}

// FuzzSplit: words hold every character but spaces, in order.
func FuzzSplit(f *testing.F) {
	f.Add("a b漢\u3000.\xff")
	f.Fuzz(func(t *testing.T, text string) {
		var all strings.Builder
		last, runes := int32(0), 0
		for _, w := range Split(nil, text) {
			if w.From < last || w.To <= w.From || int(w.Runes) != utf8.RuneCountInString(text[w.From:w.To]) {
				t.Fatalf("%q: word %+v after %d", text, w, last)
			}
			last = w.To
			runes += int(w.Runes)
			all.WriteString(text[w.From:w.To])
		}
		if want := strings.Join(strings.Fields(text), ""); all.String() != want {
			t.Fatalf("%q, want %q", all.String(), want)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	f, err := os.Open("../../../shared/data/pretrain/fairytales.train.jsonl.gz")
	if err != nil {
		b.Skip(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	var w []Word
	for b.Loop() {
		w = Split(w[:0], string(data))
	}
}
