package eval

import (
	"context"
	"math"
	"slices"
	"unicode/utf8"
)

// kinds are how questions are asked and judged.
var kinds = map[string]func(ctx context.Context, s Scorer, t *Task, q *question) (outcome, error){
	"choice": askChoice, "ending": askEnding, "text": askText, "answer": askAnswer,
}

// askChoice takes the likeliest of the choices; acc_norm the one that is likeliest by
// character, so that long ones are not at a disadvantage.
func askChoice(ctx context.Context, s Scorer, _ *Task, q *question) (outcome, error) {
	found, err := s.Score(ctx, q.prompt, q.endings)
	if err != nil {
		return nil, err
	}
	plain, normed := make([]float64, len(found)), make([]float64, len(found))
	for i, l := range found {
		plain[i] = l.Logprob
		normed[i] = l.Logprob / float64(utf8.RuneCountInString(q.choices[i]))
	}
	return outcome{"acc": truth(largest(plain) == q.gold), "acc_norm": truth(largest(normed) == q.gold)}, nil
}

// largest returns the index of the first largest element.
func largest(x []float64) int { return slices.Index(x, slices.Max(x)) }

// askEnding asks how likely the text's own ending is, and whether the model would have
// written it.
func askEnding(ctx context.Context, s Scorer, _ *Task, q *question) (outcome, error) {
	found, err := s.Score(ctx, q.prompt, q.endings)
	if err != nil {
		return nil, err
	}
	return outcome{"acc": truth(found[0].Greedy), "perplexity": one(-found[0].Logprob)}, nil
}

// askText scores a whole text: in bits for each byte, which models of any vocabulary can be
// compared by, and as perplexity of a token.
func askText(ctx context.Context, s Scorer, _ *Task, q *question) (outcome, error) {
	found, err := s.Score(ctx, q.prompt, q.endings)
	if err != nil {
		return nil, err
	}
	l := found[0]
	return outcome{
		"bits_per_byte": {-l.Logprob / math.Ln2, float64(l.Bytes)},
		"perplexity":    {-l.Logprob, float64(l.Tokens)},
	}, nil
}

// askAnswer has the model write an answer and compares it with those that are right.
func askAnswer(ctx context.Context, s Scorer, t *Task, q *question) (outcome, error) {
	text, err := s.Generate(ctx, q.prompt, t.Stop, t.MaxTokens)
	if err != nil {
		return nil, err
	}
	o := outcome{}
	if len(t.Filters) == 0 {
		o.judge("", t.normal(text), t.normals(q.answers))
	}
	for _, f := range t.Filters {
		o.judge(","+f.Name, t.normal(f.apply(text)), t.normals(q.answers))
	}
	return o, nil
}

// judge notes whether an answer is one of those wanted, and how much it has of the nearest.
func (o outcome) judge(filter, got string, want []string) {
	var f1 float64
	for _, w := range want {
		f1 = max(f1, overlap(got, w))
	}
	o["exact_match"+filter] = truth(slices.Contains(want, got))
	o["f1"+filter] = one(f1)
}
