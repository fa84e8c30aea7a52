package server

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// rewrite makes the tests write what they would compare: the transcripts of testdata,
// the request schemas of openapi.yaml, and FIELDS.md.
var rewrite = flag.Bool("rewrite", false, "write golden files instead of comparing")

// TestMain fails if a test leaves a goroutine. fasthttp's clock and the
// cleaners of its workers and of the test's client sleep for seconds before they look
// whether they should end.
func TestMain(m *testing.M) {
	if profile, ok := os.LookupEnv(benchServer); ok {
		serveBench(profile)
		return
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*Client).mCleaner"),
	)
}
