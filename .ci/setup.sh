#!/usr/bin/env bash
# Make a fresh Debian 12 or Raspberry Pi OS machine ready: system packages, .venv, .venv-crosscheck.
# Does nothing when nothing changed. Called by `make setup`; may be run by hand at any time.
# PYTHON=... names the interpreter; otherwise the first Python from 3.11 on is taken.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Those for every architecture, and those for this machine's alone.
listed_packages() {
    local line name only here
    here="[$(dpkg --print-architecture 2>/dev/null || true)]"
    while IFS= read -r line; do
        read -r name only <<<"${line%%#*}"
        if [ -n "$name" ] && [ "${only:-$here}" = "$here" ]; then printf '%s\n' "$name"; fi
    done <.ci/system-packages.txt
}

missing_packages() {
    local package
    for package in $(listed_packages); do
        [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] ||
            printf '%s ' "$package"
    done
}

install_system_packages() {
    if ! command -v dpkg-query >/dev/null; then
        say "not a Debian system; make sure it has what these packages bring: $(listed_packages | tr '\n' ' ')"
        return
    fi
    local missing as_root=""
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root="sudo -n"
        else
            fail "these system packages are missing, and installing them needs root. Run this, then make again:
    sudo apt-get install $missing"
        fi
    fi
    say "installing system packages: $missing"
    # shellcheck disable=SC2086
    { $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing </dev/null ||
        { $as_root apt-get update </dev/null &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing </dev/null; }; } >&2 ||
        fail "apt-get could not install: $missing
    Check the network and the package sources, or install them by hand, then make again."
}

find_python() {
    local candidate
    # The Python that .venv was built with stays, unless another is asked for.
    if [ -z "${PYTHON:-}" ] && .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        .venv/bin/python -c 'import os, sys; print(os.path.realpath(sys._base_executable))'
        return
    fi
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "no Python from 3.11 on with venv was found${PYTHON:+ at $PYTHON}. On Debian 12: sudo apt-get install python3 python3-venv"
}

pip_in() { # ENVIRONMENT, pip arguments
    local venv=$1
    shift
    "$venv/bin/python" -m pip --quiet --quiet --disable-pip-version-check --no-input "$@"
}

# A requirement in a lock file goes from its name to the line that does not end in a backslash.
without_built() { awk '/^pyscard==/ {skip = 1} !skip {print} !/\\$/ {skip = 0}' "$1"; }
only_built() { awk '/^pyscard==/ {take = 1} take {print} !/\\$/ {take = 0}' "$1"; }

# Build environment $1 from lock file $2. The stamp is written last, so an interrupted run is done again.
build_environment() {
    local venv=$1 lock=$2 stamp=$1/.built-from wanted
    wanted=$("$python" -c 'import sys; print(sys.version)' | cat - "$lock" | sha256sum | cut -d' ' -f1)
    if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then return; fi
    say "building $venv from $lock"
    rm -f "$stamp"
    # Another Python than before means a new start; a new lock file alone is installed over the old one.
    if [ "$("$venv/bin/python" -V 2>/dev/null || true)" != "$("$python" -V)" ]; then "$python" -m venv --clear "$venv"; fi
    # Ready-made files only: building from source would pull in tools that no lock file names. pyscard alone has none; it
    # is built with the setuptools of the lock and the compiler of the package list (decision 0100).
    pip_in "$venv" install --only-binary=:all: --require-hashes --no-deps -r <(without_built "$lock") ||
        fail "could not install $lock. Every package but pyscard has ready-made files for 64-bit Linux on x86-64 and aarch64
    and Python 3.11 to 3.13; on another machine, or without a network or package mirror, this step cannot work."
    if grep -q '^pyscard==' "$lock"; then
        pip_in "$venv" install --no-build-isolation --require-hashes --no-deps -r <(only_built "$lock") ||
            fail "could not build pyscard from $lock: it needs $(listed_packages | grep -E 'swig|pcsclite|gcc' | tr '\n' ' ')and Python's headers."
    fi
    pip_in "$venv" check || fail "the packages of $lock do not fit together: run $venv/bin/python -m pip check"
    printf '%s\n' "$wanted" >"$stamp"
}

# The project itself goes in as one plain path, so that a change in the code needs no new set-up.
install_project() {
    local stamp=.venv/.project wanted
    wanted="$(sha256sum <pyproject.toml) $PWD $(cat .venv/.built-from)"
    if [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then return; fi
    pip_in .venv install --no-index --no-deps --no-build-isolation --editable . || fail "could not install the project"
    # Once here, or each of the processes that test side by side compiles everything for itself in the first run.
    .venv/bin/python -m pytest --collect-only -q >/dev/null 2>&1 || true
    printf '%s\n' "$wanted" >"$stamp"
}

# The boards' type stubs shadow the standard library's: they go into a folder that only the firmware's check reads.
install_typings() {
    local stamp=firmware/typings/.built-from wanted
    wanted=$(sha256sum <requirements/typings.txt)
    if [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then return; fi
    rm -rf firmware/typings
    pip_in .venv install --only-binary=:all: --require-hashes --no-deps --target firmware/typings -r requirements/typings.txt ||
        fail "could not install requirements/typings.txt, the type stubs of the reader head's board"
    printf '%s\n' "$wanted" >"$stamp"
}

exec 9<.ci/setup.sh
flock 9 # two makes at once: the second waits, then finds everything done
install_system_packages
python=$(find_python)
build_environment .venv requirements/dev.txt
install_project
# Independent implementations that read and write our objects live apart: they need an older cbor2.
build_environment .venv-crosscheck requirements/crosscheck.txt
install_typings
