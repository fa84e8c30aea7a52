package train

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ingot-llm/ingot/engine/cli"
)

// dataJob is one of several that share the files of a corpus: number of of, from 1; of 0:
// the only one.
type dataJob struct{ number, of int }

// parseDataJob reads "2/8"; "" is the only one.
func parseDataJob(text string) (j dataJob, err error) {
	if text == "" {
		return j, nil
	}
	if n, err := fmt.Sscanf(text, "%d/%d", &j.number, &j.of); n != 2 || err != nil || j.number < 1 || j.number > j.of || fmt.Sprintf("%d/%d", j.number, j.of) != text {
		return j, cli.Usagef("--shard is %q, want a job and how many there are, such as 2/8", text)
	}
	return j, nil
}

// share returns the job's files: every of-th one.
func (j dataJob) share(files []string) ([]string, error) {
	if j.of == 0 {
		return files, nil
	}
	if j.of > len(files) {
		return nil, cli.Usagef("--shard is %d/%d, where there are %d files, which jobs share: want at most as many jobs", j.number, j.of, len(files))
	}
	var mine []string
	for i := j.number - 1; i < len(files); i += j.of {
		mine = append(mine, files[i])
	}
	return mine, nil
}

// prefix is what names of the job's files begin with, such as "2of8-".
func (j dataJob) prefix() string {
	if j.of == 0 {
		return ""
	}
	return fmt.Sprintf("%dof%d-", j.number, j.of)
}

// checkUnused refuses a folder with shards, since training takes all that lie there. Those
// of other jobs of the same corpus may be there.
func (j dataJob) checkUnused(out string) error {
	for _, part := range []string{"train", "valid"} {
		files, _ := filepath.Glob(filepath.Join(out, part, "*.shard"))
		for _, f := range files {
			if !j.besides(filepath.Base(f)) {
				return fmt.Errorf("%q has shards of an earlier run, such as %q: remove them or name another --out", out, f)
			}
		}
	}
	return nil
}

// besides reports whether a shard is of another job of the same corpus.
func (j dataJob) besides(name string) bool {
	var other dataJob
	n, _ := fmt.Sscanf(name, "%dof%d-", &other.number, &other.of)
	return n == 2 && j.of > 0 && other.of == j.of && other.number != j.number && strings.HasPrefix(name, other.prefix())
}
