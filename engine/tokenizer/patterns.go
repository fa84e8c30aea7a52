package tokenizer

import (
	"maps"
	"slices"

	"github.com/ingot-llm/ingot/engine/tokenizer/regex"
)

// The splitting patterns that have a hand-written cut, as their files write them.
const (
	gpt2Pattern    = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	r50kPattern    = `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	r50kPossessive = `'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`
	llama3Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern   = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen35Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	digitThrees    = `(?=(\d{3})+(?!\d))`
	numberThrees   = `(?=(\p{N}{3})+(?!\p{N}))`
	afmoeScripts   = "[一-\u9FFF㐀-\u4DBF\uF900-\uFAFF\u3040-ゟ゠-ヿ･-ﾟ⼀-\u2FDF\u0E00-\u0E7F\u0E80-\u0EFF\u1780-\u17FF\u1000-\u109F\uAA60-\uAA7F\uA9E0-\uA9FF\uAC00-\uD7AF\u1100-\u11FF]+"
	upperRun       = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
	lowerRun       = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
	casedFirst     = `[^\r\n\p{L}\p{N}]?` + upperRun + `*` + lowerRun + `+`
	casedSecond    = `[^\r\n\p{L}\p{N}]?` + upperRun + `+` + lowerRun + `*`
	shortened      = `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`
	casedRest      = ` ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	o200kPattern   = casedFirst + shortened + `|` + casedSecond + shortened + `|\p{N}{1,3}|` + casedRest
	tekkenPattern  = casedFirst + `|` + casedSecond + `|\p{N}|` + casedRest
	deepseekV3     = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
	deepseekHan    = "[一-龥\u3040-ゟ゠-ヿ]+"
	oldHan         = "[一-龥ࠀ-一가-\uD7FF]+"
	deepseekLatin  = `\s?[` + latinRanges + `]+`
	latinRanges    = `\x{41}-\x{5A}\x{61}-\x{7A}\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}`
	deepseekPunct  = "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"
)

var (
	llama3Rules = wordRules{contractions: true, word: letter, digits: 3, tail: "\r\n"}
	qwen2Rules  = wordRules{contractions: true, word: letter, digits: 1, tail: "\r\n"}
	qwen35Rules = wordRules{contractions: true, word: letter | mark, digits: 1, tail: "\r\n"}
	o200kRules  = wordRules{word: letter, cased: true, digits: 3, tail: "\r\n/"}
	tekkenRules = wordRules{word: letter, cased: true, digits: 1, tail: "\r\n/"}
)

// cuts are the hand-written twins of known patterns. Several files write one pattern
// in several ways: tiktoken's possessive forms split the same.
var cuts = map[string]cut{
	gpt2Pattern:    gpt2Words,
	r50kPattern:    gpt2Words,
	r50kPossessive: gpt2Words,
	llama3Pattern:  llama3Rules.cut(),
	`(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: llama3Rules.cut(),
	qwen2Pattern:                 qwen2Rules.cut(),
	qwen35Pattern:                qwen35Rules.cut(),
	o200kPattern:                 suffixed(o200kRules),
	tekkenPattern:                tekkenRules.cut(),
	deepseekV3:                   deepseekWords,
	deepseekHan:                  runOf{has: inRanges("一龥\u3040ゟ゠ヿ"), n: unlimited}.cut(),
	oldHan:                       runOf{has: inRanges("一龥ࠀ一가\uD7FF"), n: unlimited}.cut(),
	deepseekLatin:                runOf{has: inClass(latinRanges), n: unlimited, lead: true}.cut(),
	deepseekPunct:                runOf{has: inRanges("!/:~！／：～‘‟\u3000。"), n: unlimited, lead: true}.cut(),
	`\p{N}`:                      runOf{has: ofClass(number), n: 1}.cut(),
	`\p{N}{1}`:                   runOf{has: ofClass(number), n: 1}.cut(),
	`\p{N}{1,3}`:                 runOf{has: ofClass(number), n: 3}.cut(),
	`\p{N}+`:                     runOf{has: ofClass(number), n: unlimited}.cut(),
	`[0-9][0-9][0-9]`:            runOf{has: inRanges("09"), n: 3, exact: true}.cut(),
	"[\r\n]":                     runOf{has: oneOf("\r\n"), n: 1}.cut(),
	`[\r\n]`:                     runOf{has: oneOf("\r\n"), n: 1}.cut(),
	`\s?\p{L}+`:                  runOf{has: ofClass(letter), n: unlimited, lead: true}.cut(),
	`\s?\p{P}+`:                  runOf{has: ofClass(punct), n: unlimited, lead: true}.cut(),
	`\s+$`:                       trailingSpace,
	`\S+`:                        runOf{has: not(ofClass(space)), n: unlimited}.cut(),
	"[\\p{P}\\$\\+<=>\\^~\\|`]+": runOf{has: orRunes(punct, "$+<=>^~|`"), n: unlimited}.cut(),
	`[\p{P}\$\+<=>\^~\|]+`:       runOf{has: orRunes(punct, "$+<=>^~|"), n: unlimited}.cut(),
}

// textCuts are those that remember something about the text at hand.
var textCuts = map[string]func(s string) cut{
	digitThrees:  threes(isDigit),
	numberThrees: threes(ofClass(number)),
}

// inClass makes a set of a character class of escapes and ranges, as package regex
// reads it.
func inClass(ranges string) func(rune, class) bool {
	re, err := regex.Compile("[" + ranges + "]")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return func(r rune, _ class) bool { return re.StartsWith(r) }
}

func orRunes(want class, set string) func(rune, class) bool {
	or := oneOf(set)
	return func(r rune, c class) bool { return c&want != 0 || or(r, c) }
}

// pre is a named pre-tokenizer of GGUF (tokenizer.ggml.pre): patterns applied one
// after another, and what the name implies besides.
type pre struct {
	patterns     []string
	ignoreMerges bool // a word that is a token is that token
	addBOS       bool // unless tokenizer.ggml.add_bos_token says otherwise
	addSep       bool
	marks        bool // spaces are space marks and units are runes (Gemma 4)
}

var (
	gpt2Pre       = pre{patterns: []string{gpt2Pattern}}
	robertaPre    = pre{patterns: []string{gpt2Pattern}, addSep: true}
	digitsPre     = pre{patterns: []string{`\p{N}`, gpt2Pattern}}
	llama3Pre     = pre{patterns: []string{llama3Pattern}, ignoreMerges: true, addBOS: true}
	plainLlama3   = pre{patterns: []string{llama3Pattern}}
	qwen2Pre      = pre{patterns: []string{qwen2Pattern}}
	o200kPre      = pre{patterns: []string{o200kPattern}}
	deepseekV3Pre = pre{patterns: []string{`\p{N}{1,3}`, deepseekHan, deepseekV3}}
	bailingPre    = pre{patterns: []string{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`}}
	wordsPre      = pre{patterns: []string{` ?[^(\s|.,!?…。，、।۔،)]+`}}
	markedPre     = pre{patterns: []string{`[^\n]+|[\n]+`}, marks: true}
	ayaPre        = pre{patterns: []string{`\d{1,3}(?=(?:\d{3})*\b)`, o200kPattern}}
)

// pres are the known names, as in llama.cpp.
var pres = map[string]pre{
	"default": {patterns: []string{`[\p{P}\$\+<=>\^~\|]+`, gpt2Pattern, `\p{N}+`, `[0-9][0-9][0-9]`}},
	"gpt-2":   gpt2Pre, "phi-2": gpt2Pre, "jina-es": gpt2Pre, "jina-de": gpt2Pre, "gigachat": gpt2Pre,
	"jina-v2-es": gpt2Pre, "jina-v2-de": gpt2Pre, "a.x-4.0": gpt2Pre, "mellum": gpt2Pre, "modern-bert": gpt2Pre,
	"mpt": gpt2Pre, "olmo": gpt2Pre, "jais": gpt2Pre, "trillion": gpt2Pre, "granite-docling": gpt2Pre, "exaone4": gpt2Pre,
	"jina-v1-en": robertaPre, "jina-v2-code": robertaPre, "roberta-bpe": robertaPre,
	"starcoder": digitsPre, "refact": digitsPre, "command-r": digitsPre, "smollm": digitsPre, "codeshell": digitsPre,
	"exaone": digitsPre, "minerva-7b": digitsPre, "mellum2": digitsPre,
	"llama3": llama3Pre, "llama-v3": llama3Pre, "llama-bpe": llama3Pre, "falcon3": llama3Pre, "falcon-h1": llama3Pre,
	"pixtral": llama3Pre, "midm-2.0": llama3Pre, "lfm2": llama3Pre, "jina-v5-nano": llama3Pre,
	"dbrx": plainLlama3, "smaug-bpe": plainLlama3, "glm4": plainLlama3, "chatglm-bpe": plainLlama3,
	"qwen2": qwen2Pre, "deepseek-r1-qwen": qwen2Pre, "kormo": qwen2Pre, "f2llmv2": qwen2Pre, "megrez": qwen2Pre,
	"stablelm2": qwen2Pre, "hunyuan": qwen2Pre, "solar-open": qwen2Pre, "grok-2": qwen2Pre,
	"qwen35":     {patterns: []string{qwen35Pattern}},
	"laguna":     {patterns: []string{`[^\n]+|[\n]+`, qwen2Pattern}},
	"ufakzeka":   {patterns: []string{`[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}},
	"seed-coder": {patterns: []string{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+`}},
	"exaone-moe": {patterns: []string{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`}},
	"minicpm5":   {patterns: []string{`\p{N}{1,3}`, `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}, ignoreMerges: true},
	"gpt-4o":     o200kPre, "llama4": o200kPre, "kanana2": o200kPre, "talkie": o200kPre, "minimax-m2": o200kPre,
	"granite-embed-multi-97m": {patterns: []string{o200kPattern}, ignoreMerges: true},
	"tiny_aya":                ayaPre, "cohere2moe": ayaPre,
	"tekken":         {patterns: []string{tekkenPattern}, ignoreMerges: true, addBOS: true},
	"deepseek-llm":   {patterns: []string{"[\r\n]", deepseekLatin, deepseekPunct, `\s+$`, oldHan, `\p{N}+`}},
	"deepseek-coder": {patterns: []string{"[\r\n]", `\s?\p{L}+`, `\s?\p{P}+`, oldHan, `\p{N}`}},
	"deepseek-v3":    deepseekV3Pre, "hunyuan-dense": deepseekV3Pre, "joyai-llm": deepseekV3Pre, "hy_v4": deepseekV3Pre,
	"falcon":     {patterns: []string{"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2Pattern, `[0-9][0-9][0-9]`}},
	"bailingmoe": bailingPre, "bailingmoe2": bailingPre, "llada-moe": bailingPre,
	"poro-chat": wordsPre, "bloom": wordsPre, "gpt3-finnish": wordsPre,
	"viking":   {patterns: []string{` ?[^(\s|.,!?…。，、।۔،)]+`, `\p{N}`}},
	"superbpe": {patterns: []string{`\p{N}+`, digitThrees}},
	"afmoe":    {patterns: []string{numberThrees, afmoeScripts, deepseekV3}},
	"kimi-k2": {patterns: []string{`[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+` + shortened +
		`|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*` + shortened +
		`|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`}},
	"chameleon": {patterns: []string{`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`, `([\t\n]|    |  )`, `\p{N}`,
		"[\\p{P}!-/:-@\\[-`{-~]", gpt2Pattern}, addBOS: true},
	"gemma4": markedPre, "granite-embed-multi-311m": markedPre, "sarvam-moe": markedPre,
}

// knownPres lists the names of pres, sorted.
func knownPres() []string { return slices.Sorted(maps.Keys(pres)) }
