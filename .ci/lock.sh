#!/usr/bin/env bash
# Write requirements/*.txt: every package by version and SHA-256 of all its files (so x86-64 and aarch64 both fit),
# never an index address. Needs `uv`; run it by `make lock` after changing pyproject.toml or requirements/*.in.
set -euo pipefail
cd "$(dirname "$0")/.."

UV=${UV:-uv}
command -v "$UV" >/dev/null || { echo "make lock needs uv; install it with: pipx install uv (or set UV=path)" >&2; exit 1; }

lock() { # NAME, then uv arguments: upgrades only with UPGRADE=1, else keeps the versions that are locked now
    local name=$1
    shift
    "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links ${UPGRADE:+--upgrade} "$@" --output-file "requirements/$name.txt"
    if grep -nE '://|^--(index|extra-index|find-links)' "requirements/$name.txt"; then
        echo "requirements/$name.txt names an address" >&2
        exit 1
    fi
    echo "requirements/$name.txt: $(grep -c == "requirements/$name.txt") packages"
}

lock dev pyproject.toml --all-extras
# The programs' locks take their versions from dev.txt: what is installed on a Pi is what was tested on the desk.
lock pos pyproject.toml --extra pos --constraint requirements/dev.txt
lock bus pyproject.toml --extra bus --constraint requirements/dev.txt
lock city pyproject.toml --extra city --constraint requirements/dev.txt
lock flash pyproject.toml --extra flash --constraint requirements/dev.txt
lock crosscheck requirements/crosscheck.in
lock panel requirements/panel.in
lock typings requirements/typings.in
