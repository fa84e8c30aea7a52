package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// HF holds the files of a Hugging Face directory that say how to tokenize. All but
// Tokenizer may be nil.
type HF struct {
	Tokenizer  []byte // tokenizer.json
	Config     []byte // tokenizer_config.json: which token is BOS, EOS, PAD
	Generation []byte // generation_config.json: which ids end a generation
}

// hfFile is tokenizer.json.
type hfFile struct {
	AddedTokens   []hfAdded `json:"added_tokens"`
	Normalizer    *hfPart   `json:"normalizer"`
	PreTokenizer  *hfPart   `json:"pre_tokenizer"`
	PostProcessor *hfPart   `json:"post_processor"`
	Decoder       *hfPart   `json:"decoder"`
	Model         hfModel   `json:"model"`
}

type hfAdded struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// hfPart is a normalizer, pre-tokenizer, post-processor or decoder: a type with the
// fields that any of the types has. Pointers tell absent from false.
type hfPart struct {
	Type           string           `json:"type"`
	Normalizers    []hfPart         `json:"normalizers"`
	Pretokenizers  []hfPart         `json:"pretokenizers"`
	Processors     []hfPart         `json:"processors"`
	Decoders       []hfPart         `json:"decoders"`
	Pattern        json.RawMessage  `json:"pattern"`
	Content        string           `json:"content"`
	Prepend        string           `json:"prepend"`
	Behavior       string           `json:"behavior"`
	Invert         bool             `json:"invert"`
	AddPrefixSpace *bool            `json:"add_prefix_space"`
	UseRegex       *bool            `json:"use_regex"`
	Replacement    string           `json:"replacement"`
	PrependScheme  string           `json:"prepend_scheme"`
	Split          *bool            `json:"split"`
	Individual     bool             `json:"individual_digits"`
	CleanText      *bool            `json:"clean_text"`
	Chinese        *bool            `json:"handle_chinese_chars"`
	StripAccents   *bool            `json:"strip_accents"`
	Lowercase      *bool            `json:"lowercase"`
	StripLeft      bool             `json:"strip_left"`
	StripRight     bool             `json:"strip_right"`
	Charsmap       string           `json:"precompiled_charsmap"`
	Delimiter      string           `json:"delimiter"`
	Prefix         string           `json:"prefix"`
	Suffix         string           `json:"suffix"`
	Cleanup        *bool            `json:"cleanup"`
	Start          int              `json:"start"`
	Stop           int              `json:"stop"`
	Sep            json.RawMessage  `json:"sep"`
	Cls            json.RawMessage  `json:"cls"`
	Single         []hfTemplate     `json:"single"`
	Specials       map[string]hfIDs `json:"special_tokens"`
}

type hfIDs struct {
	IDs []int32 `json:"ids"`
}

type hfTemplate struct {
	SpecialToken *struct {
		ID string `json:"id"`
	} `json:"SpecialToken"`
	Sequence *struct{} `json:"Sequence"`
}

type hfModel struct {
	Type          string          `json:"type"`
	Vocab         json.RawMessage `json:"vocab"`
	Merges        json.RawMessage `json:"merges"`
	Dropout       *float64        `json:"dropout"`
	UnkToken      *string         `json:"unk_token"`
	UnkID         *int32          `json:"unk_id"`
	Prefix        string          `json:"continuing_subword_prefix"`
	Suffix        string          `json:"end_of_word_suffix"`
	FuseUnk       bool            `json:"fuse_unk"`
	ByteFallback  bool            `json:"byte_fallback"`
	IgnoreMerges  bool            `json:"ignore_merges"`
	MaxInputChars *int            `json:"max_input_chars_per_word"`
}

func orTrue(b *bool) bool { return b == nil || *b }
func isTrue(b *bool) bool { return b != nil && *b }

// FromHF reads a tokenizer.json with the files beside it. What it asks for and this
// package does not know is an error that names it.
func FromHF(files HF) (*Tokenizer, error) {
	b, err := newHFBuilder(files)
	if err == nil {
		err = b.config(files)
	}
	var t *Tokenizer
	if err == nil {
		t, err = b.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read tokenizer.json: %w", err)
	}
	return t, nil
}

// hfBuilder turns the parsed file into the parts of a tokenizer.
type hfBuilder struct {
	builder
	file      hfFile
	byteLevel bool
	scores    []float64
	merges    []mergePair
	unk       int32
}

func newHFBuilder(files HF) (*hfBuilder, error) {
	b := &hfBuilder{unk: -1}
	b.special = noSpecials
	if err := json.Unmarshal(files.Tokenizer, &b.file); err != nil {
		return nil, err
	}
	for _, step := range []func() error{b.readVocab, b.readMerges, b.readNormalizer, b.readPreTokenizer, b.readPost} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// readVocab joins the model's vocabulary with the added tokens.
func (b *hfBuilder) readVocab() error {
	m := &b.file.Model
	b.inferType()
	byID := map[int]string{}
	top := -1
	put := func(id int, text string) error {
		if id < 0 || id >= maxVocab {
			return fmt.Errorf("token %q has id %d, want 0 to %d", text, id, maxVocab-1)
		}
		byID[id] = text
		top = max(top, id)
		return nil
	}
	if m.Type == "Unigram" {
		if err := b.readScored(put); err != nil {
			return err
		}
	} else {
		var ids map[string]int
		if err := json.Unmarshal(m.Vocab, &ids); err != nil {
			return fmt.Errorf("model.vocab: %w", err)
		}
		for text, id := range ids {
			if _, twice := byID[id]; twice {
				return fmt.Errorf("model.vocab gives id %d to two tokens", id)
			}
			if err := put(id, text); err != nil {
				return err
			}
		}
	}
	for _, a := range b.file.AddedTokens {
		if err := put(a.ID, a.Content); err != nil {
			return err
		}
	}
	return b.makeVocab(byID, top+1)
}

// inferType names the model of old files that do not.
func (b *hfBuilder) inferType() {
	m := &b.file.Model
	switch {
	case m.Type != "":
	case len(m.Merges) > 0:
		m.Type = "BPE"
	case len(m.Vocab) > 0 && m.Vocab[0] == '[':
		m.Type = "Unigram"
	default:
		m.Type = "WordPiece"
	}
}

func (b *hfBuilder) readScored(put func(int, string) error) error {
	var rows []hfScored
	if err := json.Unmarshal(b.file.Model.Vocab, &rows); err != nil {
		return fmt.Errorf("model.vocab: %w", err)
	}
	for i, row := range rows {
		if err := put(i, row.text); err != nil {
			return err
		}
		b.scores = append(b.scores, row.score)
	}
	return nil
}

// hfScored is a pair of a token and its score.
type hfScored struct {
	text  string
	score float64
}

func (s *hfScored) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&s.text, &s.score})
}

func (b *hfBuilder) makeVocab(byID map[int]string, n int) error {
	if n > 4*len(byID)+1000 {
		return fmt.Errorf("the highest token id is %d, but there are only %d tokens", n-1, len(byID))
	}
	texts, kinds := make([]string, n), make([]kind, n)
	for i := range texts {
		text, ok := byID[i]
		texts[i], kinds[i] = text, normal
		if !ok {
			texts[i], kinds[i] = fmt.Sprintf("[PAD%d]", i), unused
		}
		if _, isByte := byteOf(text); isByte && b.file.Model.ByteFallback {
			kinds[i] = byteToken
		}
	}
	for _, a := range b.file.AddedTokens {
		kinds[a.ID] = userDefined
		if a.Special || looksSpecial(a.Content) {
			kinds[a.ID] = control
		}
	}
	if len(b.scores) > 0 {
		b.scores = append(b.scores, make([]float64, n-len(b.scores))...)
	}
	v, err := newVocab(texts, kinds)
	if err != nil {
		return err
	}
	v.markControls()
	b.vocab = v
	return b.findUnknown()
}

// looksSpecial holds for texts that are control tokens even where a file forgets to say
// so, as llama.cpp's converter judges: <|...|> and DeepSeek's <｜...｜>.
func looksSpecial(text string) bool {
	return strings.HasPrefix(text, "<|") && strings.HasSuffix(text, "|>") ||
		strings.HasPrefix(text, "<｜") && strings.HasSuffix(text, "｜>")
}

func (b *hfBuilder) findUnknown() error {
	m := &b.file.Model
	switch {
	case m.UnkID != nil:
		b.unk = *m.UnkID
		if b.unk < 0 || int(b.unk) >= b.vocab.len() {
			return fmt.Errorf("model.unk_id is %d, but there are %d tokens", b.unk, b.vocab.len())
		}
	case m.UnkToken != nil:
		b.unk = b.vocab.id(*m.UnkToken)
	}
	if b.unk < 0 && m.Type == "WordPiece" {
		return errors.New("model.unk_token names no token")
	}
	b.special.unk = b.unk
	if b.unk >= 0 {
		b.vocab.kind[b.unk] = unknown
	}
	return nil
}

// readMerges takes merges as "a b" or as ["a", "b"].
func (b *hfBuilder) readMerges() error {
	m := &b.file.Model
	if m.Type != "BPE" {
		return nil
	}
	if m.Dropout != nil && *m.Dropout > 0 {
		return fmt.Errorf("model.dropout is %g: random tokenization is not supported", *m.Dropout)
	}
	var pairs [][]string
	if json.Unmarshal(m.Merges, &pairs) == nil {
		for i, p := range pairs {
			if len(p) != 2 {
				return fmt.Errorf("model.merges[%d] is %q, want two tokens", i, p)
			}
			b.merges = append(b.merges, mergePair{p[0], p[1]})
		}
		return nil
	}
	var lines []string
	if err := json.Unmarshal(m.Merges, &lines); err != nil {
		return fmt.Errorf("model.merges: %w", err)
	}
	for i, line := range lines {
		p, err := parseMerge(line)
		if err != nil {
			return fmt.Errorf("model.merges[%d]: %w", i, err)
		}
		b.merges = append(b.merges, p)
	}
	return nil
}

// parseMerge reads "left right"; the left one may itself start with a space.
func parseMerge(line string) (mergePair, error) {
	if len(line) > 1 {
		if at := strings.IndexByte(line[1:], ' '); at >= 0 {
			return mergePair{line[:at+1], line[at+2:]}, nil
		}
	}
	return mergePair{}, fmt.Errorf("%q are not two tokens", line)
}

// finish makes the model, the added tokens and the decoder.
func (b *hfBuilder) finish() (*Tokenizer, error) {
	if err := b.makeModel(); err != nil {
		return nil, err
	}
	b.addTokens()
	piece, err := b.decoder()
	if err != nil {
		return nil, err
	}
	return b.build(piece)
}

func (b *hfBuilder) makeModel() error {
	m := &b.file.Model
	switch m.Type {
	case "BPE":
		return b.makeBPE()
	case "Unigram":
		b.model = newUnigram(b.vocab, b.scores, b.unk, m.ByteFallback)
	case "WordPiece":
		b.model = b.makeWordPiece()
	default:
		return fmt.Errorf("model.type is %q, want BPE, Unigram or WordPiece", m.Type)
	}
	return nil
}

func (b *hfBuilder) makeBPE() error {
	f := &b.file.Model
	c := bpeConfig{byteLevel: b.byteLevel, prefix: f.Prefix, suffix: f.Suffix, byteFallback: f.ByteFallback,
		wholeFirst: f.IgnoreMerges, unk: b.unk, fuseUnk: f.FuseUnk}
	m := newBPE(b.vocab, c)
	if err := m.addMerges(b.vocab, b.merges, c); err != nil {
		return err
	}
	raw := b.rawText()
	if !c.byteLevel && len(b.stages) == 0 && !m.crossesWords(m.symbolText(b.vocab)) {
		b.stages = []stage{{cut: markedWords}}
	}
	m.finish(b.vocab, raw, c.wholeFirst)
	b.model = m
	return nil
}

// rawText gives the word that a token of a BPE stands for.
func (b *hfBuilder) rawText() func(id int32) string {
	return func(id int32) string {
		text := b.vocab.text[id]
		if b.byteLevel {
			if raw, ok := bytesOfRunes(text); ok {
				return raw
			}
		}
		return text
	}
}

func (b *hfBuilder) makeWordPiece() *wordPiece {
	f := &b.file.Model
	m := &wordPiece{starts: newTrie(), continues: newTrie(), unk: b.unk, maxRunes: 100}
	if f.MaxInputChars != nil {
		m.maxRunes = *f.MaxInputChars
	}
	for i, text := range b.vocab.text {
		if !b.vocab.kind[i].inModel() {
			continue
		}
		m.starts.add(text, int32(i))
		if rest, ok := strings.CutPrefix(text, f.Prefix); ok {
			m.continues.add(rest, int32(i))
		}
	}
	return m
}

// addTokens lists the added tokens. Those that are to be found in normalized text
// are themselves normalized; control tokens are always read as written.
func (b *hfBuilder) addTokens() {
	for _, a := range b.file.AddedTokens {
		tok := addedToken{id: int32(a.ID), text: a.Content, control: b.vocab.kind[a.ID] == control || b.vocab.kind[a.ID] == unknown,
			lstrip: a.LStrip, rstrip: a.RStrip, singleWord: a.SingleWord}
		if a.Normalized && !tok.control && b.normalize != nil {
			tok.text = b.normalize(tok.text)
			b.addedAfter.add(tok)
		} else {
			b.added.add(tok)
		}
	}
}

// config takes what tokenizer_config.json and generation_config.json tell.
func (b *hfBuilder) config(files HF) error {
	c, err := readHFConfig(files)
	if err != nil {
		return err
	}
	for _, role := range []struct {
		id   *int32
		name string
	}{
		{&b.special.bos, string(c.BOS)}, {&b.special.eos, string(c.EOS)}, {&b.special.pad, string(c.PAD)},
		{&b.special.sep, string(c.SEP)}, {&b.special.cls, string(c.CLS)}, {&b.special.mask, string(c.Mask)},
	} {
		if role.name != "" {
			*role.id = b.vocab.id(role.name)
		}
	}
	b.endings = c.ends
	b.guessRoles()
	b.addBOS, b.addEOS = isTrue(c.AddBOS), isTrue(c.AddEOS)
	b.adjustAround(c.AddBOS != nil, c.AddEOS != nil)
	return nil
}

// guessRoles finds BOS and EOS by the names that are nearly always theirs, for a
// tokenizer.json without tokenizer_config.json.
func (b *hfBuilder) guessRoles() {
	guess := func(id *int32, names ...string) {
		for _, name := range names {
			if *id < 0 && b.vocab.id(name) >= 0 && b.vocab.kind[b.vocab.id(name)] == control {
				*id = b.vocab.id(name)
			}
		}
	}
	guess(&b.special.bos, "<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "[CLS]")
	guess(&b.special.eos, "</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>", "[SEP]")
	guess(&b.special.pad, "<pad>", "[PAD]", "<|pad|>")
	guess(&b.special.sep, "[SEP]")
	guess(&b.special.cls, "[CLS]")
	guess(&b.special.mask, "[MASK]", "<mask>")
}

// hfConfig is what matters of tokenizer_config.json and generation_config.json.
type hfConfig struct {
	BOS    hfName `json:"bos_token"`
	EOS    hfName `json:"eos_token"`
	PAD    hfName `json:"pad_token"`
	SEP    hfName `json:"sep_token"`
	CLS    hfName `json:"cls_token"`
	Mask   hfName `json:"mask_token"`
	AddBOS *bool  `json:"add_bos_token"`
	AddEOS *bool  `json:"add_eos_token"`
	ends   []int
}

// hfName is a token's text, written plainly or as an object with content; null is "".
type hfName string

func (n *hfName) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*n = hfName(s)
		return nil
	}
	var o struct{ Content string }
	err := json.Unmarshal(data, &o)
	*n = hfName(o.Content)
	return err
}

func readHFConfig(files HF) (*hfConfig, error) {
	c := &hfConfig{}
	if files.Config != nil {
		if err := json.Unmarshal(files.Config, c); err != nil {
			return nil, fmt.Errorf("tokenizer_config.json: %w", err)
		}
	}
	if files.Generation == nil {
		return c, nil
	}
	var g struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if err := json.Unmarshal(files.Generation, &g); err != nil {
		return nil, fmt.Errorf("generation_config.json: %w", err)
	}
	var one int
	if json.Unmarshal(g.EOS, &c.ends) != nil && json.Unmarshal(g.EOS, &one) == nil {
		c.ends = []int{one}
	}
	return c, nil
}

// readPost takes what is put around a single text.
func (b *hfBuilder) readPost() error {
	if b.file.PostProcessor == nil {
		return nil
	}
	return b.post(b.file.PostProcessor)
}

func (b *hfBuilder) post(p *hfPart) error {
	switch p.Type {
	case "ByteLevel": // trims offsets, which we have none of
	case "Sequence":
		for i := range p.Processors {
			if err := b.post(&p.Processors[i]); err != nil {
				return err
			}
		}
	case "TemplateProcessing":
		return b.template(p)
	case "BertProcessing", "RobertaProcessing":
		var cls, sep int32
		if json.Unmarshal(p.Cls, &[]any{new(string), &cls}) != nil || json.Unmarshal(p.Sep, &[]any{new(string), &sep}) != nil {
			return fmt.Errorf("post_processor: cls is %s and sep %s, want a token and its id", p.Cls, p.Sep)
		}
		return b.around([]int32{cls}, []int32{sep})
	default:
		return fmt.Errorf("post_processor type %q is not supported", p.Type)
	}
	return nil
}

func (b *hfBuilder) template(p *hfPart) error {
	var before, after []int32
	to, sequences := &before, 0
	for _, item := range p.Single {
		if item.SpecialToken == nil {
			to = &after
			sequences++
			continue
		}
		ids, ok := p.Specials[item.SpecialToken.ID]
		if !ok {
			return fmt.Errorf("post_processor: the template's %q is not among special_tokens", item.SpecialToken.ID)
		}
		*to = append(*to, ids.IDs...)
	}
	if sequences != 1 {
		return fmt.Errorf("post_processor: the template for one text holds it %d times", sequences)
	}
	return b.around(before, after)
}

func (b *hfBuilder) around(before, after []int32) error {
	for _, id := range slices.Concat(before, after) {
		if id < 0 || int(id) >= b.vocab.len() {
			return fmt.Errorf("post_processor adds id %d, but there are %d tokens", id, b.vocab.len())
		}
	}
	b.prefix = slices.Concat(before, b.prefix)
	b.suffix = slices.Concat(b.suffix, after)
	return nil
}

func decodeBase64(text string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("precompiled_charsmap: %w", err)
	}
	return data, nil
}

func decodeCharsmap(text string) (*charsmap, error) {
	data, err := decodeBase64(text)
	if err != nil {
		return nil, err
	}
	return newCharsmap(data)
}
