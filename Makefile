# Ingot. Bare `make` prints usage.
export CGO_ENABLED = 0
GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 60s
LISTEN  ?= 127.0.0.1:8080
# Where goroutines meet; the reference kernels alone would take the detector an hour.
RACE    := ./kv/... ./engine ./engine/sched ./engine/sample ./engine/chat/... ./engine/cli ./engine/settings \
	./engine/model ./quant/convert ./quant/hf ./server/... ./train/eval ./bench/load

.PHONY: usage build native run test lint sanitize emulate race fuzz bench clean

usage:
	@echo 'make build            bin/ingot: one binary with the native kernels inside'
	@echo 'make run              build, then serve the built-in model (or MODEL=PATH) at http://$(LISTEN) with a chat page'
	@echo 'make test             all tests'
	@echo 'make lint             gofmt, go vet, staticcheck'
	@echo 'make race             tests under the race detector (needs cgo for the detector only)'
	@echo 'make sanitize         kernels under the address and undefined-behaviour sanitizers'
	@echo 'make emulate          the AMX kernels on emulated tiles, on any machine with AVX-512'
	@echo 'make fuzz             every fuzz target for FUZZTIME ($(FUZZTIME)) each'
	@echo 'make bench            Go benchmarks'
	@echo 'make clean            remove what was built'

build: native
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ingot .

# Without a C compiler the binary still builds, and runs on the reference kernels.
native:
	@if command -v $(or $(CC),cc) >/dev/null; then $(MAKE) --no-print-directory -C kernels/csrc; \
	else echo 'no C compiler: building without native kernels (slow)'; fi

run: build
	./bin/ingot serve --listen $(LISTEN) $(if $(MODEL),--model $(MODEL))

test: native
	$(GO) test -timeout 20m ./...

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

race: native
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $(RACE)

emulate:
	$(MAKE) --no-print-directory -C kernels/csrc emulate
	INGOT_KERNELS=$(CURDIR)/kernels/native/libingot_amxemu.so $(GO) test -count=1 -run 'Conformance|SelfTest|Adapters' ./kernels/

sanitize:
	$(MAKE) --no-print-directory -C kernels/csrc sanitize
	LD_PRELOAD=$$($(or $(CC),cc) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
		INGOT_KERNELS=$(CURDIR)/kernels/native/libingot_san.so $(GO) test -count=1 ./kernels/

fuzz:
	@for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$pkg || exit 1; \
		done; \
	done

bench: native
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean:
	rm -rf bin
	$(MAKE) --no-print-directory -C kernels/csrc clean
