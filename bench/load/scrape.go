package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Sample is a server's metrics at a time, by name with labels.
type Sample struct {
	At     time.Time
	Values map[string]float64
}

// Scrape reads the metrics at url, in Prometheus' text format, every so often until ctx
// ends, and returns what it could read. Its last error is that of a server that has none.
func Scrape(ctx context.Context, url, key string, every time.Duration) (samples []Sample, err error) {
	for {
		var s Sample
		if s, err = scrape(ctx, url, key); err == nil {
			samples = append(samples, s)
		}
		if !sleepUntil(ctx, time.Now().Add(every)) {
			return samples, err
		}
	}
}

func scrape(ctx context.Context, url, key string) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Sample{}, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return Sample{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return Sample{}, fmt.Errorf("%s has no metrics: status %d", url, answer.StatusCode)
	}
	return Sample{At: time.Now(), Values: parseMetrics(answer.Body)}, nil
}

// maxMetricsBytes bounds one answer.
const maxMetricsBytes = 16 << 20

// parseMetrics reads the exposition format's samples ("name{labels} value [time]"); what
// it does not understand it leaves out.
func parseMetrics(r io.Reader) map[string]float64 {
	out := map[string]float64{}
	lines := bufio.NewScanner(io.LimitReader(r, maxMetricsBytes))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		end := strings.LastIndexByte(line, '}') + 1
		if end == 0 {
			end = strings.IndexAny(line, " \t")
		}
		if end <= 0 {
			continue
		}
		fields := strings.Fields(line[end:])
		if len(fields) == 0 {
			continue
		}
		if v, err := strconv.ParseFloat(fields[0], 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[line[:end]] = v
		}
	}
	return out
}
