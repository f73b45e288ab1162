# Sourced by scripts that need system packages: `deploy/dev`, `tests/run`, `tests/bench/run`.

# need KIND:NAME=PACKAGE ...
# Makes sure that commands (`command:cmake=cmake`), libraries (`library:openssl=libssl-dev`) and whole packages
# (`package:lua-cjson`) are there. Missing ones are installed by apt-get where that is allowed (root, or sudo without a
# password); otherwise they are named and the result is 1.
need() {
    local entry kind name missing=()
    for entry in "$@"; do
        kind=${entry%%:*}
        name=${entry#*:}
        name=${name%%=*}
        case $kind in
        command) command -v "$name" >/dev/null || missing+=("${entry#*=}") ;;
        library) pkg-config --exists "$name" 2>/dev/null || missing+=("${entry#*=}") ;;
        package) [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name") ;;
        esac
    done
    if [[ ${#missing[@]} -eq 0 ]]; then
        return 0
    fi
    local as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        as_root=(sudo -n)
    fi
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
        echo "these packages are needed (names as in Debian): ${missing[*]}" >&2
        return 1
    fi
    echo "installing: ${missing[*]}" >&2
    "${as_root[@]}" apt-get update -q >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
}

# need_rust
# Makes sure that cargo is there; how to get it otherwise.
need_rust() {
    if ! command -v cargo >/dev/null && [[ -f $HOME/.cargo/env ]]; then
        # shellcheck disable=SC1091
        source "$HOME/.cargo/env"
    fi
    if ! command -v cargo >/dev/null; then
        echo "Rust 1.95 or newer is needed. Get it from https://rustup.rs:" >&2
        echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
        return 1
    fi
}

# What building the gateway takes: OpenSSL for TLS, a C++ compiler for Luau.
build_needs=(
    command:pkg-config=pkg-config
    library:openssl=libssl-dev
    command:cmake=cmake
    command:g++=g++
)
