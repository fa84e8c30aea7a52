package tokenizer

import "slices"

// Tokens whose text tells their role where the metadata does not: llama.cpp's lists.
var (
	eotNames = []string{"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
		"<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>"}
	eomNames = []string{"<|eom_id|>"}
	eogNames = []string{"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
		"<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
		"<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
		"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>",
		"<reponame>", "<|file_sep|>"}
)

// markControls gives the tokens of these lists the kind that their text claims: a
// vocabulary that calls one of them plain text is mistaken, and users could end a
// turn by writing it.
func (v *vocab) markControls() {
	for _, names := range [][]string{eotNames, eomNames, eogNames} {
		for _, name := range names {
			if id := v.id(name); id >= 0 {
				v.kind[id] = control
			}
		}
	}
}

// Reserved reports whether a token of this text is a control token whatever its
// vocabulary says, so that one made of plain text must not have it.
func Reserved(text string) bool {
	return slices.Contains(eotNames, text) || slices.Contains(eomNames, text) || slices.Contains(eogNames, text)
}

// endings fills in EOT and EOM by name where they are unknown and returns all ids that
// end a generation: the special ones, those of extra, and those known by name.
func (v *vocab) endings(s *specials, extra []int) []int32 {
	named := func(names []string) int32 {
		for _, name := range names {
			if id := v.id(name); id >= 0 {
				return id
			}
		}
		return -1
	}
	if s.eot < 0 {
		s.eot = named(eotNames)
	}
	if s.eom < 0 {
		s.eom = named(eomNames)
	}
	set := map[int32]bool{}
	for _, name := range eogNames {
		set[v.id(name)] = true
	}
	for _, id := range []int32{s.eos, s.eot, s.eom} {
		set[id] = true
	}
	v.unlistEndings(set)
	for _, id := range extra {
		if id >= 0 && id < v.len() {
			set[int32(id)] = true
		}
	}
	delete(set, -1)
	return sortedKeys(set)
}

// unlistEndings takes out tokens that in some families end something smaller: <|end|>
// a message of harmony (which has <|return|> and <|call|> beside it), </s> in Gemma 4.
func (v *vocab) unlistEndings(set map[int32]bool) {
	has := func(name string) bool { return v.id(name) >= 0 }
	if has("<|return|>") && has("<|call|>") || has("<|flush|>") && has("<|calls|>") {
		delete(set, v.id("<|end|>"))
	}
	if has("<|tool_response>") {
		delete(set, v.id("</s>"))
	}
}

func sortedKeys(set map[int32]bool) []int32 {
	ids := make([]int32, 0, len(set))
	for id := range set {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
