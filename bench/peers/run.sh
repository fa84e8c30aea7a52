#!/bin/sh
# Runs the same work through llama.cpp and Ingot side by side, after install.sh.
#
#   bench/peers/run.sh model MODEL.gguf [flags of ingot bench model]
#       prefill and decode in turns; B / A is Ingot over llama.cpp
#   bench/peers/run.sh node MODEL.gguf [flags]
#       the same with the prebuilt llama.cpp of node-llama-cpp, which also samples
#   bench/peers/run.sh serve MODEL.gguf [flags of ingot bench serve]
#       the same load on both servers, then peers.html
#
# llama.cpp runs as fast as it can: repacked weights, flash attention, large pages for
# what it allocates (GLIBC_TUNABLES). The Python package has no llama-server, only its
# own server, which answers one request at a time; where LLAMA_SERVER names a real
# llama-server, which batches requests, that is measured too.
#
# INGOT names the program (bin/ingot), ROUNDS how often each runs (5), THREADS the
# threads of both (all processors).
set -eu
if [ $# -lt 2 ]; then
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
peers=${XDG_CACHE_HOME:-$HOME/.cache}/ingot/peers
ingot=${INGOT:-$here/../../bin/ingot}
threads=${THREADS:-$(nproc)}
what=$1 model=$2
shift 2
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 # for llama.cpp: Ingot asks for large pages itself

# wait_for URL: until a server answers there.
wait_for() {
	for _ in $(seq 600); do
		if "$peers/python/bin/python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' "$1/v1/models" 2>/dev/null; then return; fi
		sleep 0.1
	done
	echo "no server answers at $1" >&2
	exit 1
}

# measure NAME URL FLAGS...: the load on a server that runs in the background.
measure() {
	name=$1 url=$2
	shift 2
	trap 'kill $server 2>/dev/null || true' EXIT
	wait_for "$url"
	"$ingot" bench serve --url "$url" --out "$name.jsonl" "$@"
	kill "$server"
	wait "$server" || true
	trap - EXIT
}

case $what in
model)
	exec "$ingot" bench compare "$peers/python/bin/python $here/llama_cpp_bench.py" "$ingot bench model" \
		--rounds "${ROUNDS:-5}" -- --model "$model" --threads "$threads" --json "$@"
	;;
node)
	exec env PEERS="$peers" "$ingot" bench compare "node $here/node_llama_bench.mjs" "$ingot bench model" \
		--rounds "${ROUNDS:-5}" -- --model "$model" --threads "$threads" --json "$@"
	;;
serve)
	# By default a new request ends the one before it, and prompts compute all logits.
	"$peers/python/bin/python" -m llama_cpp.server --model "$model" --port 18081 --n_threads "$threads" --n_threads_batch "$threads" \
		--n_ctx 4096 --flash_attn true --use_mmap false --use_mlock false --logits_all false --interrupt_requests false >llama-cpp.log 2>&1 &
	server=$!
	measure llama-cpp-python http://127.0.0.1:18081 "$@"
	runs=llama-cpp-python.jsonl
	if [ -n "${LLAMA_SERVER:-}" ]; then
		"$LLAMA_SERVER" --model "$model" --port 18083 --threads "$threads" --parallel 16 --kv-unified --ctx-size 32768 \
			--flash-attn on --no-mmap --no-webui >llama-server.log 2>&1 &
		server=$!
		measure llama-server http://127.0.0.1:18083 "$@"
		runs="$runs llama-server.jsonl"
	fi
	"$ingot" serve --model "$model" --listen 127.0.0.1:18082 --threads "$threads" >ingot.log 2>&1 &
	server=$!
	measure ingot http://127.0.0.1:18082 "$@"
	"$ingot" bench report $runs ingot.jsonl -o peers.html
	echo "wrote peers.html"
	;;
*)
	echo "unknown work $what: model, node or serve" >&2
	exit 2
	;;
esac
