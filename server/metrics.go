package server

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// Bucket edges in seconds and tokens are vLLM's, so that its dashboards fit.
var (
	ttftBuckets    = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
	itlBuckets     = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	latencyBuckets = []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	stepBuckets    = []float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
	countBuckets   = []float64{1, 2, 5, 10, 20}
)

// metrics are the server's own registry: the names of vLLM, which the Gateway API
// Inference Extension and dashboards know, and our own.
type metrics struct {
	registry *prometheus.Registry
	expose   fasthttp.RequestHandler

	ttft, itl, perToken, e2e, queue, prefill, decode, inference prometheus.Histogram
	promptTokens, outputTokens, maxOutput, n, maxTokens         prometheus.Histogram
	prefillComputed, stepTokens                                 prometheus.Histogram
	stepSeconds                                                 prometheus.Histogram
	cachedTokens, gone                                          prometheus.Counter
	success                                                     map[engine.FinishReason]prometheus.Counter

	requests        *prometheus.CounterVec
	seconds, sizeIn *prometheus.HistogramVec
	sizeOut         *prometheus.HistogramVec
	refusals        *prometheus.CounterVec
	streaming       prometheus.Gauge
	cached          sync.Map // httpKey to *httpChildren
}

func newMetrics(name string, model Model) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), success: map[engine.FinishReason]prometheus.Counter{}}
	r := labelled{m.registry, prometheus.Labels{"model_name": name, "engine": "0"}}
	tokenBuckets := oneTwoFive(model.Info.Context)
	m.ttft = r.histogram("vllm:time_to_first_token_seconds", "Arrival to first token.", ttftBuckets)
	m.itl = r.histogram("vllm:inter_token_latency_seconds", "Time between two tokens of a sequence.", itlBuckets)
	m.perToken = r.histogram("vllm:request_time_per_output_token_seconds", "Mean time between tokens of a request.", itlBuckets)
	m.e2e = r.histogram("vllm:e2e_request_latency_seconds", "Arrival to last token.", latencyBuckets)
	m.queue = r.histogram("vllm:request_queue_time_seconds", "Submission to first step.", latencyBuckets)
	m.prefill = r.histogram("vllm:request_prefill_time_seconds", "First step to first token.", latencyBuckets)
	m.decode = r.histogram("vllm:request_decode_time_seconds", "First to last token.", latencyBuckets)
	m.inference = r.histogram("vllm:request_inference_time_seconds", "First step to last token.", latencyBuckets)
	m.promptTokens = r.histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.", tokenBuckets)
	m.outputTokens = r.histogram("vllm:request_generation_tokens", "Generated tokens of a request.", tokenBuckets)
	m.maxOutput = r.histogram("vllm:request_max_num_generation_tokens", "Most tokens that a sequence of the request may have.", tokenBuckets)
	m.n = r.histogram("vllm:request_params_n", "Parameter n.", countBuckets)
	m.maxTokens = r.histogram("vllm:request_params_max_tokens", "Parameter max_tokens.", tokenBuckets)
	m.prefillComputed = r.histogram("vllm:request_prefill_kv_computed_tokens", "Prompt tokens that were not in the prefix cache.", tokenBuckets)
	m.stepTokens = r.histogram("vllm:iteration_tokens_total", "Tokens of an engine step.", stepBuckets)
	m.stepSeconds = r.histogram("ingot_step_seconds", "Duration of an engine step.", itlBuckets)
	m.cachedTokens = r.counter("vllm:prompt_tokens_cached_total", "Prompt tokens found in the prefix cache.", nil)
	m.gone = r.counter("ingot_clients_gone_total", "Clients that left before the end of their answer.", nil)
	for _, f := range []engine.FinishReason{engine.FinishStop, engine.FinishLength, engine.FinishAbort, engine.FinishError} {
		m.success[f] = r.counter("vllm:request_success_total", "Sequences that ended, by reason.", prometheus.Labels{"finished_reason": string(f)})
	}
	m.addHTTP()
	m.registry.MustRegister(newEngineCollector(model, r.labels))
	model.Engine.OnStep(m.step)
	m.expose = fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return m
}

// addHTTP registers what any HTTP server counts. The labels' values come from tables,
// never from a client.
func (m *metrics) addHTTP() {
	labels := []string{"handler", "method"}
	sizes := prometheus.ExponentialBuckets(64, 4, 10)
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."}, append(labels, "status"))
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Header read to last byte handed over.", Buckets: latencyBucketsHTTP}, labels)
	m.sizeIn = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_size_bytes", Help: "Bodies received.", Buckets: sizes}, labels)
	m.sizeOut = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_response_size_bytes", Help: "Bodies sent.", Buckets: sizes}, labels)
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ingot_refused_total", Help: "Requests refused, by error code."}, []string{"code"})
	m.streaming = prometheus.NewGauge(prometheus.GaugeOpts{Name: "ingot_streams", Help: "Answers that are streaming."})
	m.registry.MustRegister(m.requests, m.seconds, m.sizeIn, m.sizeOut, m.refusals, m.streaming)
}

var latencyBucketsHTTP = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300}

// oneTwoFive returns 1, 2, 5, 10, ... up to and with the first edge of at least most.
func oneTwoFive(most int) []float64 {
	var edges []float64
	for decade := 1; ; decade *= 10 {
		for _, m := range []int{1, 2, 5} {
			edges = append(edges, float64(m*decade))
			if m*decade >= most {
				return edges
			}
		}
	}
}

// labelled registers metrics with constant labels.
type labelled struct {
	registry *prometheus.Registry
	labels   prometheus.Labels
}

func (l labelled) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets, ConstLabels: l.labels})
	l.registry.MustRegister(h)
	return h
}

func (l labelled) counter(name, help string, more prometheus.Labels) prometheus.Counter {
	labels := prometheus.Labels{}
	for _, from := range []prometheus.Labels{l.labels, more} {
		for k, v := range from {
			labels[k] = v
		}
	}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	l.registry.MustRegister(c)
	return c
}

// step observes a step of the engine, in its loop.
func (m *metrics) step(s engine.StepStats) {
	m.stepTokens.Observe(float64(s.Tokens))
	m.stepSeconds.Observe(s.Duration.Seconds())
}

// refused counts a refusal. Codes come from our sources only.
func (m *metrics) refused(code string) { m.refusals.WithLabelValues(code).Inc() }

// httpKey are the labels of an answer, httpChildren what counts it: finding children by
// their labels costs more than counting.
type httpKey struct {
	route, method string
	status        int
}

type httpChildren struct {
	requests                 prometheus.Counter
	seconds, sizeIn, sizeOut prometheus.Observer
}

func (m *metrics) children(k httpKey) *httpChildren {
	if c, ok := m.cached.Load(k); ok {
		return c.(*httpChildren)
	}
	c, _ := m.cached.LoadOrStore(k, &httpChildren{
		m.requests.WithLabelValues(k.route, k.method, strconv.Itoa(k.status)), m.seconds.WithLabelValues(k.route, k.method),
		m.sizeIn.WithLabelValues(k.route, k.method), m.sizeOut.WithLabelValues(k.route, k.method)})
	return c.(*httpChildren)
}

// answered counts an answer.
func (m *metrics) answered(x *exchange, status, size int, took time.Duration) {
	c := m.children(httpKey{x.route, x.method, status})
	c.requests.Inc()
	c.seconds.Observe(took.Seconds())
	c.sizeIn.Observe(float64(x.size))
	c.sizeOut.Observe(float64(size))
	if status == statusClientClosed {
		m.gone.Inc()
	}
}

// ended observes a request's stream after its last event. arrived counts from the
// request's first byte, so that tokenization is part of the time to first token.
func (m *metrics) ended(r *engine.Request, u engine.Usage, t engine.Timing, arrived time.Time) {
	m.promptTokens.Observe(float64(u.PromptTokens))
	m.outputTokens.Observe(float64(u.CompletionTokens))
	m.maxOutput.Observe(float64(u.CompletionTokens) / float64(r.N))
	m.n.Observe(float64(r.N))
	m.maxTokens.Observe(float64(r.MaxTokens))
	m.prefillComputed.Observe(float64(u.PromptTokens - u.CachedTokens))
	m.cachedTokens.Add(float64(u.CachedTokens))
	between := func(h prometheus.Histogram, from, to time.Time) {
		if !from.IsZero() && !to.IsZero() {
			h.Observe(to.Sub(from).Seconds())
		}
	}
	between(m.ttft, arrived, t.FirstToken)
	between(m.e2e, arrived, t.Finished)
	between(m.queue, t.Submitted, t.Scheduled)
	between(m.prefill, t.Scheduled, t.FirstToken)
	between(m.decode, t.FirstToken, t.Finished)
	between(m.inference, t.Scheduled, t.Finished)
	if steps := u.CompletionTokens/r.N - 1; steps > 0 && !t.FirstToken.IsZero() && !t.Finished.IsZero() {
		m.perToken.Observe(t.Finished.Sub(t.FirstToken).Seconds() / float64(steps))
	}
}

// finished counts the end of a sequence.
func (m *metrics) finished(f engine.FinishReason) { m.success[f].Inc() }

// exposeMetrics answers GET /metrics.
func (s *Server) exposeMetrics(ctx *fasthttp.RequestCtx) { s.metrics.expose(ctx) }

// engineCollector reads the engine's state when it is asked.
type engineCollector struct {
	engine Engine
	rows   []statRow
	info   prometheus.Metric
	lora   *prometheus.Desc // nil without adapters
	loras  string           // how many a batch may have
}

// statRow is a metric and how to read it.
type statRow struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(engine.Stats) float64
}

func newEngineCollector(model Model, labels prometheus.Labels) *engineCollector {
	c := &engineCollector{engine: model.Engine}
	add := func(kind prometheus.ValueType, name, help string, read func(engine.Stats) float64) {
		c.rows = append(c.rows, statRow{prometheus.NewDesc(name, help, nil, labels), kind, read})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "vllm:num_requests_running", "Sequences in the batch.", func(s engine.Stats) float64 { return float64(s.Running) })
	add(gauge, "vllm:num_requests_waiting", "Requests that wait.", func(s engine.Stats) float64 { return float64(s.Waiting) })
	add(gauge, "vllm:kv_cache_usage_perc", "Used share of the KV blocks, 0 to 1.", usedShare)
	add(gauge, "ingot_kv_blocks_used", "KV blocks in use.", func(s engine.Stats) float64 { return float64(s.BlocksUsed) })
	add(gauge, "ingot_kv_blocks", "KV blocks there are.", func(s engine.Stats) float64 { return float64(s.BlocksTotal) })
	add(counter, "vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.", func(s engine.Stats) float64 { return float64(s.PrefixQueries) })
	add(counter, "vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.", func(s engine.Stats) float64 { return float64(s.PrefixHits) })
	add(counter, "vllm:num_preemptions_total", "Sequences set back for want of blocks.", func(s engine.Stats) float64 { return float64(s.Preemptions) })
	add(counter, "vllm:prompt_tokens_total", "Prompt tokens computed or found.", func(s engine.Stats) float64 { return float64(s.PromptTokens) })
	add(counter, "vllm:prompt_tokens_recomputed_total", "Prompt tokens computed again after a preemption.", func(s engine.Stats) float64 { return float64(s.RecomputedTokens) })
	add(counter, "vllm:generation_tokens_total", "Tokens generated.", func(s engine.Stats) float64 { return float64(s.GenerationTokens) })
	desc := prometheus.NewDesc("vllm:cache_config_info", "The KV cache's configuration.", []string{"block_size", "num_gpu_blocks"}, labels)
	c.info = prometheus.MustNewConstMetric(desc, gauge, 1, strconv.Itoa(model.Info.BlockTokens), strconv.Itoa(model.Info.Blocks))
	if n := len(model.Info.Adapters); n > 0 {
		c.loras = strconv.Itoa(n)
		c.lora = prometheus.NewDesc("vllm:lora_requests_info", "Adapters in the batch and of what waits, by name; the value is the time.", []string{"max_lora", "running_lora_adapters", "waiting_lora_adapters"}, labels)
	}
	return c
}

func usedShare(s engine.Stats) float64 {
	if s.BlocksTotal == 0 {
		return 0
	}
	return float64(s.BlocksUsed) / float64(s.BlocksTotal)
}

// Describe implements prometheus.Collector.
func (c *engineCollector) Describe(out chan<- *prometheus.Desc) {
	for _, r := range c.rows {
		out <- r.desc
	}
	out <- c.info.Desc()
	if c.lora != nil {
		out <- c.lora
	}
}

// Collect implements prometheus.Collector.
func (c *engineCollector) Collect(out chan<- prometheus.Metric) {
	s := c.engine.Stats()
	for _, r := range c.rows {
		out <- prometheus.MustNewConstMetric(r.desc, r.kind, r.read(s))
	}
	out <- c.info
	if c.lora != nil {
		out <- prometheus.MustNewConstMetric(c.lora, prometheus.GaugeValue, float64(time.Now().UnixMicro())/1e6, c.loras, strings.Join(s.RunningAdapters, ","), strings.Join(s.WaitingAdapters, ","))
	}
}
