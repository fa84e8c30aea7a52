package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The files of a PEFT adapter.
const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"
	// prefix is what PEFT's names have before the module's.
	prefix = "base_model.model."
	// suffixM follows the module's name in that of its magnitudes.
	suffixM = ".lora_magnitude_vector"
)

// peftConfig is what an adapter_config.json must say for us to honour it.
type peftConfig struct {
	PeftType     string             `json:"peft_type"`
	Base         string             `json:"base_model_name_or_path"`
	R            int                `json:"r"`
	Alpha        float64            `json:"lora_alpha"`
	RankPattern  map[string]int     `json:"rank_pattern"`
	AlphaPattern map[string]float64 `json:"alpha_pattern"`
	RSLoRA       bool               `json:"use_rslora"`
	DoRA         bool               `json:"use_dora"`
	FanInFanOut  bool               `json:"fan_in_fan_out"`
	Dropout      float64            `json:"lora_dropout"`
	Bias         string             `json:"bias"`
	TaskType     string             `json:"task_type"`
	Targets      json.RawMessage    `json:"target_modules"` // a list, or one regular expression
	Inference    bool               `json:"inference_mode"`
	InitWeights  any                `json:"init_lora_weights"`
}

// unsupported are fields that change what an adapter computes; each with the values that
// change nothing.
var unsupported = []string{"use_qalora", "use_bdlora", "lora_bias", "modules_to_save", "layer_replication",
	"trainable_token_indices", "target_parameters", "alora_invocation_tokens", "arrow_config", "kasa_config", "velora_config", "monteclora_config"}

// maxConfig bounds an adapter_config.json in bytes.
const maxConfig = 1 << 20

func readConfig(dir string) (*peftConfig, error) {
	path := filepath.Join(dir, configFile)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%q is no adapter: it has no %s", dir, configFile)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxConfig {
		return nil, fmt.Errorf("%q has %d bytes, above the limit of %d", path, info.Size(), maxConfig)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return c, nil
}

// parseConfig reads an adapter_config.json and refuses what it asks for that is not done
// here, by the name of the field.
func parseConfig(raw []byte) (*peftConfig, error) {
	var fields map[string]any
	c := &peftConfig{Bias: "none"}
	if err := errors.Join(json.Unmarshal(raw, &fields), json.Unmarshal(raw, c)); err != nil {
		return nil, err
	}
	for _, name := range unsupported {
		if !idle(fields[name]) {
			return nil, fmt.Errorf("%s is %v, which is not supported", name, fields[name])
		}
	}
	switch {
	case c.PeftType != "LORA":
		return nil, fmt.Errorf("peft_type is %q, want LORA", c.PeftType)
	case c.Bias != "none":
		return nil, fmt.Errorf("bias is %q, want none", c.Bias)
	case c.R < 1 || c.R > maxRank:
		return nil, fmt.Errorf("r is %d, want 1 to %d", c.R, maxRank)
	case !(math.Abs(c.Alpha) <= math.MaxFloat32):
		return nil, fmt.Errorf("lora_alpha is %g", c.Alpha)
	}
	for _, key := range slices.Concat(slices.Collect(maps.Keys(c.RankPattern)), slices.Collect(maps.Keys(c.AlphaPattern))) {
		if _, err := pattern(key); err != nil {
			return nil, fmt.Errorf("the pattern %q: %w", key, err)
		}
	}
	return c, nil
}

// maxRank is far above any adapter's.
const maxRank = 1 << 15

// idle reports whether a field asks for nothing.
func idle(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// pattern is what PEFT matches a key of rank_pattern or alpha_pattern with: the module's
// name, or its end behind a dot.
func pattern(key string) (*regexp.Regexp, error) { return regexp.Compile(`^(?:.*\.)?(?:` + key + `)$`) }

// config returns the configuration of a module.
func (c *peftConfig) config(module string) Config {
	out := Config{Rank: c.R, Alpha: c.Alpha, RSLoRA: c.RSLoRA, DoRA: c.DoRA}
	for _, key := range slices.Sorted(maps.Keys(c.RankPattern)) {
		if matches(key, module) {
			out.Rank = c.RankPattern[key]
			break
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.AlphaPattern)) {
		if matches(key, module) {
			out.Alpha = c.AlphaPattern[key]
			break
		}
	}
	return out
}

func matches(key, module string) bool {
	p, err := pattern(key)
	return err == nil && p.MatchString(module)
}

// newConfig is the adapter_config.json of an adapter of the model at base.
func newConfig(a *Adapter, base string) *peftConfig {
	c := &peftConfig{
		PeftType: "LORA", Base: base, R: a.Rank, Alpha: a.Alpha, RankPattern: map[string]int{}, AlphaPattern: map[string]float64{},
		RSLoRA: a.RSLoRA, DoRA: a.DoRA, Bias: "none", TaskType: "CAUSAL_LM", Inference: true, InitWeights: true,
	}
	targets := map[string]bool{}
	for _, p := range a.Parts {
		targets[p.Module[strings.LastIndexByte(p.Module, '.')+1:]] = true
		c.FanInFanOut = c.FanInFanOut || p.Conv1D
	}
	c.Targets, _ = json.Marshal(slices.Sorted(maps.Keys(targets))) // strings marshal
	return c
}
