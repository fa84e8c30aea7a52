package quant

import (
	"fmt"
	"strings"
	"testing"
)

func mix(t *testing.T, name string) Mix {
	t.Helper()
	m, err := ParseMix(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParseMix(t *testing.T) {
	for name, want := range map[string]string{"q4_k_m": "Q4_K_M", "Q4_K": "Q4_K_M", "q3_k": "Q3_K_M", "bf16": "BF16", "MXFP4_MoE": "MXFP4_MOE"} {
		if m := mix(t, name); m.Name != want {
			t.Errorf("%q is %q, want %q", name, m.Name, want)
		}
	}
	_, err := ParseMix("Q7_K")
	if err == nil || !strings.Contains(err.Error(), `"Q7_K"`) || !strings.Contains(err.Error(), "Q4_K_M") {
		t.Errorf("unhelpful error %v", err)
	}
	numbers := map[uint32]string{}
	for _, name := range MixNames() {
		m := mix(t, name)
		if other, ok := numbers[m.FileType]; ok {
			t.Errorf("%s and %s share file type %d", name, other, m.FileType)
		}
		numbers[m.FileType] = name
		if !CanQuantize(m.Base) {
			t.Errorf("%s: %v has no encoder", name, m.Base)
		}
	}
}

// layersWith lists the layers in which m gives the named tensor the type d.
func layersWith(m Mix, d DType, tensor string, facts TensorFacts) string {
	var got []int
	for i := range facts.Layers {
		facts.Name = fmt.Sprintf("blk.%d.%s.weight", i, tensor)
		if m.TypeFor(facts) == d {
			got = append(got, i)
		}
	}
	return strings.Trim(fmt.Sprint(got), "[]")
}

// The layers below are those of published 32-layer models (Llama 3.1 8B and Llama 2 7B).
func TestMixesLiftTheLayersThatLlamaCppLifts(t *testing.T) {
	all := "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31"
	more := "0 1 2 3 6 9 12 15 18 21 24 27 28 29 30 31"
	for _, c := range []struct {
		mix        string
		d          DType
		tensor     string
		gqa        int
		importance bool
		want       string
	}{
		{"Q4_K_M", Q6_K, "attn_v", 4, false, more},
		{"Q4_K_M", Q6_K, "ffn_down", 4, false, more},
		{"Q4_K_M", Q4_K, "attn_q", 4, false, all},
		{"Q4_K_M", Q4_K, "attn_output", 4, false, all},
		{"Q5_K_M", Q6_K, "ffn_down", 1, false, more},
		{"Q4_K_S", Q5_K, "attn_v", 4, false, "0 1 2 3"},
		{"Q4_K_S", Q5_K, "ffn_down", 4, false, "0 1 2 3"},
		{"Q3_K_M", Q5_K, "attn_v", 1, false, "0 1"},
		{"Q3_K_M", Q5_K, "ffn_down", 1, false, "0 1"},
		{"Q3_K_M", Q4_K, "attn_output", 1, false, all},
		{"Q3_K_L", Q5_K, "attn_v", 1, false, all},
		{"Q3_K_S", Q3_K, "ffn_down", 1, false, all},
		{"Q2_K", Q3_K, "attn_v", 1, false, all},
		{"Q2_K", Q4_K, "attn_v", 4, false, all},
		{"Q2_K", Q3_K, "ffn_down", 4, false, all},
		{"Q2_K_S", Q4_K, "ffn_down", 1, false, "0 1 2 3"},
		{"IQ4_XS", Q5_K, "attn_v", 4, false, all},
		{"IQ4_XS", Q5_K, "attn_v", 2, false, ""},
		{"IQ4_NL", Q5_K, "ffn_down", 2, false, "0 1 2 3"},
		{"IQ4_NL", Q5_K, "ffn_down", 2, true, ""},
		{"Q4_0", Q4_1, "ffn_down", 1, true, "0 1 2 3"},
		{"Q4_0", Q4_0, "ffn_down", 1, false, all},
		{"Q6_K", Q6_K, "ffn_up", 1, false, all},
		{"F16", F16, "attn_v", 1, false, all},
	} {
		facts := TensorFacts{Shape: []int{4096, 4096}, Layers: 32, GQA: c.gqa, Importance: c.importance}
		if got := layersWith(mix(t, c.mix), c.d, c.tensor, facts); got != c.want {
			t.Errorf("%s: %s has %v in layers %q, want %q", c.mix, c.tensor, c.d, got, c.want)
		}
	}
}

func TestMixesTreatSpecialTensors(t *testing.T) {
	matrix, vector, experts := []int{512, 2048}, []int{2048}, []int{8, 512, 2048}
	for _, c := range []struct {
		mix   string
		facts TensorFacts
		want  DType
	}{
		{"Q4_K_M", TensorFacts{Name: "output.weight", Shape: matrix}, Q6_K},
		{"Q8_0", TensorFacts{Name: "output.weight", Shape: matrix}, Q8_0},
		{"MXFP4_MOE", TensorFacts{Name: "output.weight", Shape: matrix}, Q8_0},
		{"Q4_K_M", TensorFacts{Name: "token_embd.weight", Shape: matrix}, Q4_K},
		{"Q4_K_M", TensorFacts{Name: "token_embd.weight", Shape: matrix, Tied: true}, Q6_K},
		{"Q4_0", TensorFacts{Name: "token_embd.weight", Shape: []int{512, 96}, Tied: true}, Q8_0},
		{"F16", TensorFacts{Name: "token_embd.weight", Shape: matrix, Tied: true}, F16},
		{"Q4_K_M", TensorFacts{Name: "blk.0.attn_norm.weight", Shape: vector}, F32},
		{"BF16", TensorFacts{Name: "blk.0.attn_q.bias", Shape: vector}, F32},
		{"F16", TensorFacts{Name: "blk.0.attn_q_norm.weight", Shape: matrix}, F32},
		{"Q4_K_M", TensorFacts{Name: "blk.0.ffn_down_exps.bias", Shape: matrix}, F32},
		{"Q4_K_M", TensorFacts{Name: "blk.0.ffn_gate_inp.weight", Shape: matrix}, F32},
		{"Q4_K_M", TensorFacts{Name: "position_embd.weight", Shape: matrix}, F32},
		{"Q4_K_M", TensorFacts{Name: "token_types.weight", Shape: []int{2, 768}}, F32},
		{"Q4_K_M", TensorFacts{Name: "cls.output.weight", Shape: []int{1, 2048}}, F32},
		{"Q4_K_M", TensorFacts{Name: "cls.output.weight", Shape: []int{2, 2048}}, Q4_K},
		{"MXFP4_MOE", TensorFacts{Name: "blk.1.ffn_up_exps.weight", Shape: experts}, MXFP4},
		{"MXFP4_MOE", TensorFacts{Name: "blk.1.attn_q.weight", Shape: matrix}, Q8_0},
		{"Q4_K_M", TensorFacts{Name: "blk.9.attn_k.weight", Shape: matrix, Layers: 32, Experts: 8}, Q8_0},
		{"Q4_K_M", TensorFacts{Name: "blk.9.attn_v.weight", Shape: matrix, Layers: 32, Experts: 8}, Q8_0},
		{"Q4_K_M", TensorFacts{Name: "blk.9.attn_output.weight", Shape: matrix, Layers: 32, Experts: 8}, Q5_K},
		{"Q3_K_L", TensorFacts{Name: "blk.9.attn_output.weight", Shape: matrix, Layers: 32, Experts: 8}, Q3_K},
		{"Q4_K_S", TensorFacts{Name: "blk.9.attn_v.weight", Shape: matrix, Layers: 80, GQA: 8}, Q5_K},
		{"Q4_K_S", TensorFacts{Name: "blk.9.attn_v.weight", Shape: matrix, Layers: 64, GQA: 8}, Q4_K},
		{"Q4_K_M", TensorFacts{Name: "blk.0.attn_qkv.weight", Shape: matrix, Layers: 32}, Q6_K},
		{"Q4_K_M", TensorFacts{Name: "blk.4.ffn_down_exps.weight", Shape: experts, Layers: 32, Experts: 8}, Q4_K},
		{"Q4_K_M", TensorFacts{Name: "blk.6.ffn_down_exps.weight", Shape: experts, Layers: 32, Experts: 8}, Q6_K},
	} {
		if got := mix(t, c.mix).TypeFor(c.facts); got != c.want {
			t.Errorf("%s: %s %v is %v, want %v", c.mix, c.facts.Name, c.facts.Shape, got, c.want)
		}
	}
}

func TestMixesFallBackToSmallerBlocks(t *testing.T) {
	for name, want := range map[string][2]DType{ // rows of 96 and of 40
		"Q2_K_S": {Q4_0, F16}, "Q3_K_S": {Q4_0, F16}, "Q4_K_S": {Q5_0, F16}, "Q5_K_S": {Q5_1, F16}, "Q6_K": {Q8_0, F16},
		"IQ4_XS": {IQ4_NL, F16}, "IQ4_NL": {IQ4_NL, F16}, "Q8_0": {Q8_0, F16}, "Q4_1": {Q4_1, F16}, "BF16": {BF16, BF16},
	} {
		for i, cols := range []int{96, 40} {
			got := mix(t, name).TypeFor(TensorFacts{Name: "blk.20.ffn_up.weight", Shape: []int{64, cols}, Layers: 32})
			if got != want[i] {
				t.Errorf("%s with rows of %d is %v, want %v", name, cols, got, want[i])
			}
		}
	}
}

// Whatever the shape, the type chosen can store it and has an encoder.
func TestMixesAlwaysChooseATypeThatFits(t *testing.T) {
	tensors := []string{"output", "token_embd", "blk.0.attn_v", "blk.5.attn_k", "blk.0.ffn_down", "blk.7.attn_output", "blk.3.ffn_up_exps"}
	for _, name := range MixNames() {
		for i, tensor := range tensors {
			for _, cols := range []int{1, 31, 32, 64, 160, 256, 384, 4096} {
				facts := TensorFacts{Name: tensor + ".weight", Shape: []int{8, 16, cols}, Layers: 8, Experts: 8 * (i % 2), GQA: 4, Tied: true}
				d := mix(t, name).TypeFor(facts)
				if !CanQuantize(d) || cols%d.BlockElems() != 0 {
					t.Errorf("%s: %s with rows of %d is %v", name, tensor, cols, d)
				}
			}
		}
	}
}
