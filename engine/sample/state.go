package sample

import "math"

// State is what sampling remembers of one sequence. It belongs to one goroutine at a
// time.
type State struct {
	params    *Params
	index     uint32
	generated int
	seen      []count         // distinct tokens of prompt and answer, where penalties need them
	place     map[int32]int32 // token -> index into seen
}

// count is how often a token occurs in the answer, 0 for one of the prompt alone.
type count struct{ token, answer int32 }

// NewState returns the state before the first token of choice index (0..n-1) of a
// request. params has been validated and is not to be changed; prompt is not kept.
func NewState(params *Params, index int, prompt []int32) *State {
	st := &State{params: params, index: uint32(index)}
	if params.penalizes() {
		st.place = make(map[int32]int32, len(prompt))
		for _, id := range prompt {
			st.find(id)
		}
	}
	return st
}

// Accept notes that token has been generated.
func (st *State) Accept(token int32) {
	st.generated++
	if st.place != nil {
		st.find(token).answer++
	}
}

func (st *State) find(token int32) *count {
	at, ok := st.place[token]
	if !ok {
		at = int32(len(st.seen))
		st.place[token] = at
		st.seen = append(st.seen, count{token: token})
	}
	return &st.seen[at]
}

// edit is a logit before it was changed.
type edit struct {
	token int32
	old   float32
}

// edit applies penalties, bias and masks to logits [V] in place and appends what stood
// there to undo. Only a few logits change, so this is cheaper than a copy of the row.
func (st *State) edit(logits []float32, undo []edit) []edit {
	p := st.params
	set := func(token int32, value float32) {
		undo = append(undo, edit{token, logits[token]})
		logits[token] = value
	}
	for _, c := range st.seen {
		set(c.token, p.penalize(logits[c.token], c.answer))
	}
	for _, b := range p.LogitBias {
		set(b.Token, logits[b.Token]+b.Value)
	}
	if st.generated < p.MinTokens {
		for _, id := range p.StopIDs {
			set(id, float32(math.Inf(-1)))
		}
		if !p.IgnoreEOS {
			for _, id := range p.EOS {
				set(id, float32(math.Inf(-1)))
			}
		}
	}
	return undo
}

// penalize returns the logit of a token that was seen, answer times in the answer.
func (p *Params) penalize(logit float32, answer int32) float32 {
	if logit > 0 {
		logit /= p.RepetitionPenalty
	} else {
		logit *= p.RepetitionPenalty
	}
	if answer > 0 {
		logit -= p.PresencePenalty + p.FrequencyPenalty*float32(answer)
	}
	return logit
}

// restore takes the edits back, the last one first.
func restore(logits []float32, undo []edit) {
	for i := len(undo) - 1; i >= 0; i-- {
		logits[undo[i].token] = undo[i].old
	}
}
