# Checks the tools that `make build` needs, before anything is downloaded, and prints the Python to
# use: $PYTHON where it is set, else the first of the arguments and the usual names that is recent
# enough. A missing tool is one line on stderr and exit status 2.
set -eu

fail() {
    echo "llava_fast: $1" >&2
    exit 2
}

command -v cargo >/dev/null 2>&1 && cargo --version >/dev/null 2>&1 ||
    fail "cargo is missing: install a Rust toolchain, see https://rustup.rs"
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 ||
    fail "the linker cc is missing: install gcc or clang (Debian: apt install build-essential)"

recent() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- "$@" python3 python3.13 python3.12 python3.11 python3.14 python
fi
found=""
for name in "$@"; do
    if recent "$name"; then
        found=${found:-$name}
        if venv "$name"; then
            command -v "$name"
            exit
        fi
    fi
done
[ -z "$found" ] || fail "$found has no venv module: install it (Debian: apt install python3-venv)"
fail "Python 3.11 to 3.14 is missing: got $("$1" --version 2>/dev/null || echo "no $1")"
