package train

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDataRefusesUsedFolder: shards of an earlier run would be trained on beside the new
// ones, since training takes all that lie in the folder.
func TestDataRefusesUsedFolder(t *testing.T) {
	data, tokenizer := testData(t)
	text := filepath.Join(t.TempDir(), "other.txt")
	if err := os.WriteFile(text, []byte("Another text."), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := try("data", "--tokenizer", tokenizer, "--out", data, "--valid", "0", text)
	if err == nil || !strings.Contains(err.Error(), "shards of an earlier run") {
		t.Errorf("a folder with shards is written to: %v", err)
	}
}

// TestDataDoesNotDependOnThreads compares the bytes of the shards, with documents of many
// sizes, duplicates, similar and repetitive ones, and damaged lines that are passed over.
func TestDataDoesNotDependOnThreads(t *testing.T) {
	_, tokenizer := testData(t)
	text := filepath.Join(t.TempDir(), "many.jsonl")
	var lines strings.Builder
	for i := range 400 {
		number := i % 150
		doc := randomWords(number, 30+number*3)
		switch {
		case number%50 == 49:
			lines.WriteString("{\n")
			continue
		case number%30 == 7:
			doc = strings.Repeat("The crow again.\n", 5+i)
		case i >= 250:
			doc = "Near: " + doc
		}
		fmt.Fprintf(&lines, "{\"text\": %q}\n", doc)
	}
	if err := os.WriteFile(text, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	for _, threads := range []string{"1", "2", "5"} {
		out := filepath.Join(t.TempDir(), "data")
		command(t, "data", "--tokenizer", tokenizer, "--out", out, "--valid", "0.2", "--policy", "skip", "--dedup", "near", "--filter", "repetition", "--shard-tokens", "2000", "--threads", threads, text)
		got := folder(t, out)
		if want == nil {
			want = got
		}
		if r := readReport(t, out); len(r.Dropped) != 4 {
			t.Errorf("%s threads: dropped are %v", threads, r.reasons())
		}
		if len(got) < 4 || !maps.Equal(got, want) {
			t.Errorf("%s threads write %d files, other than one thread's", threads, len(got))
		}
	}
}

// randomWords returns a text that has little in common with that of another seed.
func randomWords(seed, n int) string {
	random := rand.New(rand.NewPCG(0, uint64(seed)))
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("fox", random.IntN(1000))
	}
	return strings.Join(list, " ")
}

// folder reads all files below dir.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestDataReport: every document is counted once, as kept or by why it is dropped, with
// where it stands.
func TestDataReport(t *testing.T) {
	_, tokenizer := testData(t)
	text := filepath.Join(t.TempDir(), "some.jsonl")
	lines := []string{`{"text":"The fox saw the crow."}`, `{"text":" "}`, `{"text":"The fox saw the crow.\n"}`, `{"text":3}`,
		`{"text":"é"}`, `{"text":"` + strings.Repeat("é", 101) + `"}`, `{"text":"` + strings.Repeat("é", 100) + `"}`}
	if err := os.WriteFile(text, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "data")
	args := []string{"data", "--tokenizer", tokenizer, "--out", out, "--valid", "0", "--min-chars", "2", "--max-chars", "100"}
	if printed, err := try(append(args, text)...); err == nil || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("error %v, want one of line 4\n%s", err, printed)
	}
	printed := command(t, append(args, "--policy", "skip", text)...)
	r := readReport(t, out)
	got := map[string]string{}
	for reason, d := range r.Dropped {
		for _, s := range d.Samples {
			got[reason] += fmt.Sprintf("%s:%d %d bytes;", filepath.Base(s.Path), s.Line, len(s.Text))
		}
		if !strings.Contains(printed, "dropped: "+reason) || d.Documents != 1 {
			t.Errorf("%q dropped %d; printed:\n%s", reason, d.Documents, printed)
		}
	}
	want := map[string]string{"empty": "some.jsonl:2 0 bytes;", "duplicate": "some.jsonl:3 21 bytes;", "damaged": ".:0 0 bytes;",
		"short": "some.jsonl:5 2 bytes;", "long": "some.jsonl:6 202 bytes;"}
	if !maps.Equal(got, want) {
		t.Errorf("dropped %v, want %v", got, want)
	}
	if r.Read.Documents != 6 || r.Train.Documents != 2 || r.Train.Bytes != 221 || r.Read.Bytes != 221+21+2+202 {
		t.Errorf("read %+v, kept %+v", r.Read, r.Train)
	}
}

// TestDataFilters: what fails a rule is counted under its name, and lines taken out leave
// the rest of a text.
func TestDataFilters(t *testing.T) {
	_, tokenizer := testData(t)
	text := filepath.Join(t.TempDir(), "some.jsonl")
	story := strings.Repeat("The fox saw the crow. It was old!\n", 3)
	lines := fmt.Sprintf("{\"text\":%q}\n{\"text\":\"It is the end.\"}\n{\"text\":%q}", "Menu\n"+story, "The fox { saw it.\n"+story)
	if err := os.WriteFile(text, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "data")
	args := []string{"data", "--tokenizer", tokenizer, "--out", out, "--valid", "0", "--filter", "c4", text}
	printed := command(t, args...)
	r := readReport(t, out)
	if want := int64(len(strings.TrimSpace(story))); r.Train.Documents != 1 || r.Train.Bytes != want || r.Lines != 1 || r.Read.Bytes <= r.Train.Bytes+want {
		t.Errorf("kept %+v without %d lines, read %+v", r.Train, r.Lines, r.Read)
	}
	for _, reason := range []string{"c4: fewer than 5 sentences", "c4: a curly bracket"} {
		if d := r.Dropped[reason]; d == nil || d.Documents != 1 || !strings.Contains(printed, reason) {
			t.Errorf("%q dropped %+v; printed:\n%s", reason, d, printed)
		}
	}
	if _, err := try(append(args, "--chat")...); err == nil || !strings.Contains(err.Error(), "--filter c4") {
		t.Errorf("conversations and c4: %v", err)
	}
	if _, err := try(append(args, "--filter", "d5")...); err == nil || !strings.Contains(err.Error(), `"d5" is no filter`) {
		t.Errorf("an unknown filter: %v", err)
	}
}

// TestDataDecontaminates: a document with words of an evaluation row is dropped, and the
// report says which.
func TestDataDecontaminates(t *testing.T) {
	_, tokenizer := testData(t)
	dir := t.TempDir()
	question := randomWords(1, 15)
	for name, text := range map[string]string{
		"task.jsonl": fmt.Sprintf("{\"query\":%q,\"choices\":[\"yes\",\"no\"]}\n{\"query\":\"Why?\"}\n", question),
		"some.jsonl": fmt.Sprintf("{\"text\":%q}\n{\"text\":%q}\n", "So: "+strings.ToUpper(question)+"?", randomWords(2, 15)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "data")
	printed := command(t, "data", "--tokenizer", tokenizer, "--out", out, "--valid", "0", "--decontaminate", filepath.Join(dir, "task.jsonl"), filepath.Join(dir, "some.jsonl"))
	r := readReport(t, out)
	d := r.Dropped["text of task.jsonl"]
	if r.Train.Documents != 1 || d == nil || d.Documents != 1 || !strings.HasPrefix(strings.ToUpper(question), d.Samples[0].Note) || !strings.Contains(printed, "of 2 rows of evaluation files 1 have no text of 13 words") {
		t.Errorf("kept %+v, dropped %+v; printed:\n%s", r.Train, d, printed)
	}
}

// TestDataJobs: jobs that share the files write, into one folder, the documents that one
// writes; none goes over another's shards.
func TestDataJobs(t *testing.T) {
	_, tokenizer := testData(t)
	dir := t.TempDir()
	args := []string{"data", "--tokenizer", tokenizer, "--valid", "0.3"}
	for i := range 5 {
		path := filepath.Join(dir, fmt.Sprintf("%d.jsonl", i))
		text := ""
		for k := range 8 {
			text += fmt.Sprintf("{\"text\":%q}\n", randomWords(8*i+k, 20))
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	one, many := filepath.Join(dir, "one"), filepath.Join(dir, "many")
	command(t, append(args, "--out", one)...)
	for _, job := range []string{"2/3", "3/3", "1/3"} {
		command(t, append(args, "--out", many, "--shard", job)...)
	}
	for _, part := range []string{"train", "valid"} {
		if got, want := documents(t, filepath.Join(many, part)), documents(t, filepath.Join(one, part)); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: jobs write %d documents, one %d or others", part, len(got), len(want))
		}
	}
	if text, err := os.ReadFile(filepath.Join(many, "3of3-report.json")); err != nil || !strings.Contains(string(text), `"documents": 8`) {
		t.Errorf("the third job's report: %s, %v", text, err)
	}
	for out, job := range map[string]string{one: "1/3", many: "1/3", many + "/": "1/2", many + "/.": ""} {
		if _, err := try(append(args, "--out", out, "--shard", job)...); err == nil || !strings.Contains(err.Error(), "shards of an earlier run") {
			t.Errorf("job %q in %q: %v", job, out, err)
		}
	}
	for _, job := range []string{"0/2", "3/2", "1", "1/2/3", "a/b", "1/6", "-1/2"} {
		if _, err := try(append(args, "--out", dir, "--shard", job)...); err == nil || !strings.Contains(err.Error(), "--shard is ") {
			t.Errorf("job %q: %v", job, err)
		}
	}
}

// documents returns those of a folder's shards, sorted.
func documents(t *testing.T, dir string) (all []string) {
	t.Helper()
	shards, err := openShards(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		for d := range s.Documents() {
			ids, _ := s.Read(d, 0, s.Len(d), nil, nil)
			all = append(all, fmt.Sprint(ids))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(all)
	return all
}

func readReport(t *testing.T, dir string) *dataReport {
	t.Helper()
	r := &dataReport{}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDataRefuses(t *testing.T) {
	for flag, value := range map[string]string{"--dedup": "all", "--dedup-memory": "0", "--dedup-threshold": "1.1", "--min-chars": "-1", "--max-chars": "5"} {
		_, err := try("data", "--tokenizer", "a", "--out", "b", "--min-chars", "7", flag, value, "c.txt")
		if err == nil || !strings.Contains(err.Error(), flag+" ") {
			t.Errorf("%s %s: %v", flag, value, err)
		}
	}
}

func TestDataRefusesThreads(t *testing.T) {
	if _, err := try("data", "--tokenizer", "a", "--out", "b", "--threads", "-1", "c.txt"); err == nil || !strings.Contains(err.Error(), "--threads is -1") {
		t.Errorf("error %v", err)
	}
}
