#!/usr/bin/env bash
# Installs what the tests of the server drive it with: a browser for the page and the
# official OpenAI clients for npm, Python and Go. Everything but Debian's own packages
# goes to a cache folder outside the checkout; a second run finds all of it and only says so.
set -euo pipefail
clients="$(cd "$(dirname "$0")" && pwd)/clients"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ingot-test"

fail() {
	echo "install.sh: $1" >&2
	echo "install.sh: remedy: $2" >&2
	exit 1
}

# debian PACKAGE...: installs Debian packages.
updated=
debian() {
	command -v apt-get >/dev/null || fail "$* is missing and there is no apt-get" "install it by hand"
	local sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	if [ -z "$updated" ]; then
		$sudo apt-get update -qq || fail "apt-get update failed" "look at its message above: can the package mirror be reached?"
		updated=yes
	fi
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
		fail "cannot install $*" "run: apt-get install $*"
	echo "installed $*"
}

# need COMMAND PACKAGE: the package, if the command is missing.
need() {
	if command -v "$1" >/dev/null; then
		echo "have $1"
	else
		debian "$2"
	fi
}

# stamp FILE...: one line that changes with the files' content.
stamp() { cat "$@" | sha256sum | cut -d' ' -f1; }

# fresh FOLDER STAMP: is what FOLDER holds made of these files?
fresh() { [ "$(cat "$1/.stamp" 2>/dev/null)" = "$2" ]; }

node_client() {
	local want dir="$cache/node"
	want="$(stamp "$clients"/node/package*.json) $(node --version)"
	if fresh "$dir" "$want"; then
		echo "have npm openai in $dir"
		return
	fi
	rm -rf "$dir" && mkdir -p "$dir"
	cp "$clients"/node/package*.json "$dir"
	(cd "$dir" && npm ci --no-audit --no-fund --loglevel=error) ||
		fail "npm ci failed in $dir" "look at its message above; delete $dir and run again"
	echo "$want" >"$dir/.stamp"
	echo "installed npm openai in $dir"
}

python_client() {
	local want dir="$cache/python"
	want="$(stamp "$clients/python/requirements.txt") $(python3 --version)"
	if fresh "$dir" "$want"; then
		echo "have Python openai in $dir"
		return
	fi
	rm -rf "$dir"
	python3 -m venv "$dir" || fail "cannot make a virtual environment in $dir" "run: apt-get install python3-venv"
	"$dir/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$clients/python/requirements.txt" ||
		fail "pip install failed in $dir" "look at its message above; delete $dir and run again"
	echo "$want" >"$dir/.stamp"
	echo "installed Python openai in $dir"
}

go_client() {
	command -v go >/dev/null || fail "go is missing" "install Go, see go.mod for the version"
	(cd "$clients/go" && go mod download && go build -o "$cache/go/client" .) ||
		fail "cannot build the Go client" "run: cd $clients/go && go build"
	echo "have Go openai-go in $cache/go"
}

need chromium chromium
need node nodejs
need npm npm
need python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
mkdir -p "$cache"
node_client
python_client
go_client
