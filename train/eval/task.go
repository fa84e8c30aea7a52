package eval

import (
	_ "embed"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/ingot-llm/ingot/train/corpus"
)

// Task is a set of questions and how they are put. It is plain data, and not to be changed.
type Task struct {
	Name, About string
	Kind        string   // of kinds
	File        string   // rows, below the data folder; "" = Options.Files
	Examples    string   // rows of solved examples, which come from File where this is ""
	Shots       int      // solved examples by default
	Metrics     []string // in the order of reports
	Edits       []edit   // of every row
	Description string   // before the examples
	Prompt      string   // template of a question
	Choices     string   // field with the list of choices
	Labels      []string // choices that are the same for all rows, instead
	Gold        string   // field with the right choice's index
	Target      string   // template of the right ending, or of a solved example's answer
	Answers     string   // field with a list of right answers; without it Target is the one
	Delimiter   string   // between prompt and ending

	// Of generated answers: what ends one, where it is found, what is not compared.
	Stop      []string
	MaxTokens int `yaml:"max_tokens"`
	Filters   []filter
	Ignore    []*regexp.Regexp
}

//go:embed tasks.yaml
var definitions []byte

// Tasks returns all tasks.
var Tasks = sync.OnceValue(func() (tasks []*Task) {
	if err := yaml.UnmarshalWithOptions(definitions, &tasks, yaml.Strict()); err != nil {
		panic("BUG: tasks.yaml: " + err.Error())
	}
	return tasks
})

// Find returns the tasks of these names.
func Find(names []string) ([]*Task, error) {
	var found []*Task
	for _, name := range names {
		i := slices.IndexFunc(Tasks(), func(t *Task) bool { return t.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no task %q: --tasks list shows what there is", name)
		}
		found = append(found, Tasks()[i])
	}
	return found, nil
}

// question is what a task asks about one row.
type question struct {
	row         row // edited
	description string
	prompt      string
	choices     []string
	endings     []string // the choices, or the one ending, as they follow the prompt
	gold        int      // of the choices
	answers     []string // that are right
}

// questions reads a task's rows. What is wrong with single ones is told and counted.
func (t *Task) questions(o Options, r *Result) (questions []question, err error) {
	found := t.ask
	if t.Kind == "text" {
		found = t.texts
	}
	for q, err := range found(o, r.Shots) {
		if o.Limit > 0 && len(questions) == o.Limit {
			break
		}
		var bad *corpus.DocumentError
		switch {
		case err == nil:
			questions = append(questions, q)
		case !errors.As(err, &bad):
			return nil, err
		default:
			if r.Damaged++; o.Damaged != nil {
				o.Damaged(err)
			}
		}
	}
	if len(questions) == 0 {
		return nil, fmt.Errorf("%s: there is no row that can be asked", t.Name)
	}
	return questions, nil
}

// ask gives a question for each row, with examples before it.
func (t *Task) ask(o Options, shots int) iter.Seq2[question, error] {
	return func(yield func(question, error) bool) {
		path, err := find(o.Data, t.File)
		var examples []question
		if err == nil {
			examples, err = t.examples(o.Data, path, shots)
		}
		if err != nil {
			yield(question{}, err)
			return
		}
		for q, err := range rows(path, t.question) {
			q.prompt = q.context(examples, shots)
			if !yield(q, err) {
				return
			}
		}
	}
}

// question puts a row as a question; it edits the row.
func (t *Task) question(r row) (q question, err error) {
	q.row = r
	for _, e := range t.Edits {
		e.apply(r)
	}
	if q.description, err = r.fill(t.Description); err != nil {
		return q, err
	}
	if q.prompt, err = r.fill(t.Prompt); err != nil {
		return q, err
	}
	if t.Gold != "" {
		err = t.choose(&q)
		return q, err
	}
	target, err := r.fill(t.Target)
	q.endings, q.answers = []string{t.Delimiter + target}, []string{target}
	if err == nil && t.Answers != "" {
		q.answers, err = r.list(t.Answers)
	}
	return q, err
}

// choose fills in a question's choices.
func (t *Task) choose(q *question) (err error) {
	q.choices = t.Labels
	if t.Choices != "" {
		if q.choices, err = q.row.list(t.Choices); err != nil {
			return err
		}
	}
	for _, c := range q.choices {
		q.endings = append(q.endings, t.Delimiter+c)
	}
	q.gold, err = q.row.index(t.Gold, len(q.choices))
	return err
}

// examples returns the first rows that can be asked: one more than are shown, since a row
// is no example of itself.
func (t *Task) examples(data, path string, shots int) (found []question, err error) {
	if shots == 0 {
		return nil, nil
	}
	if t.Examples != "" {
		if path, err = find(data, t.Examples); err != nil {
			return nil, err
		}
	}
	for q, err := range rows(path, t.question) {
		var bad *corpus.DocumentError
		if err != nil && !errors.As(err, &bad) {
			return nil, err
		}
		if err == nil {
			found = append(found, q)
		}
		if len(found) > shots {
			break
		}
	}
	if len(found) < shots {
		return nil, fmt.Errorf("%s: %d examples are wanted, and %q has %d", t.Name, shots, path, len(found))
	}
	return found, nil
}

// shotDelimiter stands between examples, as the harness has it.
const shotDelimiter = "\n\n"

// context returns the prompt with what stands before it: the description, and the first
// examples that are other rows.
func (q *question) context(examples []question, shots int) string {
	var b strings.Builder
	b.WriteString(q.description)
	for _, e := range examples {
		if shots > 0 && !reflect.DeepEqual(e.row, q.row) {
			b.WriteString(e.prompt + e.endings[e.gold] + shotDelimiter)
			shots--
		}
	}
	return b.String() + q.prompt
}

// find returns where a file of the tasks lies: below the folder, or right in it, packed or
// not.
func find(data, file string) (string, error) {
	for _, name := range []string{file, filepath.Base(file)} {
		for _, name := range []string{name, strings.TrimSuffix(name, ".gz")} {
			path := filepath.Join(data, name)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("the folder %q has no %s: name the tasks' folder by --data", data, file)
}

// maxPart bounds a text that is scored at once; a longer one is scored in parts.
const maxPart = 64 << 10

// texts gives a question for each text, or part of a long one.
func (t *Task) texts(o Options, _ int) iter.Seq2[question, error] {
	return func(yield func(question, error) bool) {
		files, err := t.textFiles(o)
		if err != nil {
			yield(question{}, err)
			return
		}
		for _, f := range files {
			for doc, err := range corpus.Read(f, "text", nil) {
				if err != nil && !yield(question{}, err) {
					return
				}
				for text := doc.Text; text != ""; {
					n := cut(text, maxPart)
					if !yield(question{endings: []string{text[:n]}}, nil) {
						return
					}
					text = text[n:]
				}
			}
		}
	}
}

func (t *Task) textFiles(o Options) ([]string, error) {
	if t.File != "" {
		path, err := find(o.Data, t.File)
		return []string{path}, err
	}
	if len(o.Files) == 0 {
		return nil, fmt.Errorf("%s needs text: --file FILE", t.Name)
	}
	return corpus.Files(o.Files...)
}
