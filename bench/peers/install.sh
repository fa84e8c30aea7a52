#!/bin/sh
# Installs llama.cpp as its users do, into the user's cache folder: with its Python
# bindings and server (built from source for this processor), or, with "node", as the
# prebuilt binary of node-llama-cpp. Nothing of Ingot needs it.
#
#   bench/peers/install.sh [python|node]
set -eu
peers=${XDG_CACHE_HOME:-$HOME/.cache}/ingot/peers
mkdir -p "$peers"
case ${1:-python} in
python)
	[ -x "$peers/python/bin/python" ] || python3 -m venv "$peers/python"
	"$peers/python/bin/pip" install --quiet 'llama-cpp-python[server]'
	"$peers/python/bin/python" -c 'import llama_cpp; print("llama-cpp-python", llama_cpp.__version__)'
	;;
node)
	mkdir -p "$peers/node"
	cd "$peers/node"
	[ -f package.json ] || npm init -y >/dev/null
	npm install --no-fund --no-audit node-llama-cpp
	;;
*)
	echo "usage: $0 [python|node]" >&2
	exit 2
	;;
esac
