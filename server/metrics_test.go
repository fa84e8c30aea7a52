package server

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMetrics has requests of every end and looks for what they count.
func TestMetrics(t *testing.T) {
	h := start(t, newFake(), nil)
	h.post("/v1/completions", `{"prompt":"abc","max_tokens":4,"n":2}`)
	h.post("/v1/completions", `{"prompt":"abc","stream":true}`)
	h.post("/v1/completions", `{"prompt":"abc","n":0}`)
	h.do("GET", "/nowhere/at/all", "")
	h.do("BREW", "/v1/models", "")
	text := h.do("GET", "/metrics", "").body
	labels := `{engine="0",model_name="fake"}`
	for _, want := range []string{
		`vllm:num_requests_running` + labels + ` 3`,
		`vllm:num_requests_waiting` + labels + ` 2`,
		`vllm:kv_cache_usage_perc` + labels + ` 0.25`,
		`vllm:cache_config_info{block_size="16",engine="0",model_name="fake",num_gpu_blocks="100"} 1`,
		`vllm:prefix_cache_queries_total` + labels + ` 10`,
		`vllm:prefix_cache_hits_total` + labels + ` 4`,
		`vllm:num_preemptions_total` + labels + ` 1`,
		`vllm:prompt_tokens_total` + labels + ` 7`,
		`vllm:generation_tokens_total` + labels + ` 8`,
		`vllm:request_success_total{engine="0",finished_reason="length",model_name="fake"} 2`,
		`vllm:request_success_total{engine="0",finished_reason="stop",model_name="fake"} 1`,
		`vllm:time_to_first_token_seconds_count` + labels + ` 2`,
		`vllm:e2e_request_latency_seconds_count` + labels + ` 2`,
		`vllm:request_queue_time_seconds_count` + labels + ` 2`,
		`vllm:request_prefill_time_seconds_count` + labels + ` 2`,
		`vllm:request_decode_time_seconds_count` + labels + ` 2`,
		`vllm:request_inference_time_seconds_count` + labels + ` 2`,
		`vllm:request_time_per_output_token_seconds_count` + labels + ` 2`,
		`vllm:inter_token_latency_seconds_count` + labels + ` 6`,
		`vllm:request_params_n_sum` + labels + ` 3`,
		`vllm:request_params_max_tokens_sum` + labels + ` 20`,
		`vllm:request_prompt_tokens_sum` + labels + ` 8`,
		`vllm:request_generation_tokens_sum` + labels + ` 22`,
		`vllm:request_prefill_kv_computed_tokens_sum` + labels + ` 4`,
		`vllm:time_to_first_token_seconds_bucket{engine="0",model_name="fake",le="2560"} 2`,
		`http_requests_total{handler="/v1/completions",method="POST",status="200"} 2`,
		`http_requests_total{handler="/v1/completions",method="POST",status="400"} 1`,
		`http_requests_total{handler="none",method="GET",status="404"} 1`,
		`http_requests_total{handler="none",method="other",status="405"} 1`,
		`ingot_refused_total{code="invalid_value"} 1`,
		`ingot_streams 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			name, _, _ := strings.Cut(want, "{")
			var have []string
			for _, line := range strings.Split(text, "\n") {
				if strings.HasPrefix(line, name) && !strings.Contains(line, "_bucket") {
					have = append(have, line)
				}
			}
			t.Errorf("want %s, have\n%s", want, strings.Join(have, "\n"))
		}
	}
	if strings.Contains(text, "lora_requests_info") {
		t.Error("a server without adapters tells of them")
	}
}

// TestAdapterMetrics: the adapters at work stand in labels, as vLLM has it, and the value
// is now.
func TestAdapterMetrics(t *testing.T) {
	h := start(t, newFake(), func(_ *Config, m *Model) { m.Info.Adapters = []string{"poet", "clerk", "judge"} })
	_, rest, found := strings.Cut(h.do("GET", "/metrics", "").body,
		`vllm:lora_requests_info{engine="0",max_lora="3",model_name="fake",running_lora_adapters="poet,clerk",waiting_lora_adapters="clerk"} `)
	line, _, _ := strings.Cut(rest, "\n")
	if at, err := strconv.ParseFloat(line, 64); !found || err != nil || time.Since(time.UnixMicro(int64(at*1e6))) > time.Minute {
		t.Errorf("found: %v, value %q, %v", found, line, err)
	}
}

// TestLivez follows the heartbeat of the engine's loop.
func TestLivez(t *testing.T) {
	fake := newFake()
	h := start(t, fake, nil)
	if a := h.do("GET", "/livez", ""); a.status != 200 {
		t.Errorf("beating: %d", a.status)
	}
	fake.beat = time.Now().Add(-time.Hour)
	if a := h.do("GET", "/livez", ""); a.status != 503 || !strings.Contains(a.body, "stalled") {
		t.Errorf("silent: %d %s", a.status, a.body)
	}
}

// TestReadyAfterSelfTest is ready only when the engine has computed something.
func TestReadyAfterSelfTest(t *testing.T) {
	fake := newFake()
	fake.gate = make(chan struct{})
	h := start(t, fake, nil)
	h.server.ready.Store(false)
	if a := h.do("GET", "/readyz", ""); a.status != 503 {
		t.Errorf("before the self test: %d", a.status)
	}
	go h.server.selfTest()
	fake.gate <- struct{}{}
	waitFor(t, func() bool { return h.do("GET", "/readyz", "").status == 200 })
	if r := fake.last(); r.MaxTokens != 1 || len(r.Prompt) == 0 {
		t.Errorf("the self test asks for %+v", r)
	}
}
