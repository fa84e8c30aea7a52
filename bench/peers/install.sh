#!/bin/sh
# Installs llama.cpp as its users do, into the user's cache folder: with its Python
# bindings and server (built from source for this processor), or, with "node", as the
# prebuilt binary of node-llama-cpp; with "text" the tokenizers tiktoken and Hugging
# Face's. Nothing of Ingot needs it.
#
#   bench/peers/install.sh [python|node|text]
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
text)
	[ -x "$peers/text-venv/bin/python" ] || python3 -m venv "$peers/text-venv"
	"$peers/text-venv/bin/pip" install --quiet tiktoken tokenizers
	;;
*)
	echo "usage: $0 [python|node|text]" >&2
	exit 2
	;;
esac
