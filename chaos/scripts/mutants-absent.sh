#!/usr/bin/env bash
# Shows that the deliberate defects of `trine_probe::mutants` are not in what is built normally: no manifest enables the
# feature, and none of their names is in the binaries. Those of `cargo build` or `cargo test` by default:
#
#     chaos/scripts/mutants-absent.sh [BINARY…]
#
# Ends with exit code 1 when a name is found, which a build with `--features mutants` shows. Needs bash, grep and cargo.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$top/target}
[ $# -gt 0 ] || set -- "$target/debug/trine" "$target/debug/trine-chaos"

names=$(sed -nE 's/^    [A-Z][A-Za-z]+ "([a-z-]+)" ".*"$/\1/p' "$top"/*/src/mutants.rs)
names+=$'\nTRINE_MUTANT'
count=$(wc -l <<<"$names")
[ "$count" -ge 20 ] || { echo "mutants-absent: only $count names were read: the search would show nothing" >&2; exit 1; }

# The search must find what it looks for where it is.
sample=$(mktemp)
trap 'rm -f "$sample"' EXIT
printf 'a\0b%s\0c' "$(tail -n 2 <<<"$names" | head -n 1)" >"$sample"
grep -qaF -f <(echo "$names") "$sample" || { echo "mutants-absent: the search finds nothing anywhere" >&2; exit 1; }

failures=0
fail() {
    echo "mutants-absent: $*" >&2
    failures=$((failures + 1))
}

enabled=$(cd "$top" && cargo tree --workspace --locked -e features --prefix none | grep 'feature "mutants"' || true)
[ -z "$enabled" ] || fail "a manifest enables the feature: $enabled"
for binary in "$@"; do
    [ -f "$binary" ] || { fail "there is no $binary"; continue; }
    found=$(grep -aoF -f <(echo "$names") "$binary" | sort -u | head -n 3 | tr '\n' ' ' || true)
    [ -z "$found" ] || fail "$binary holds mutants: ${found}and perhaps more"
done
[ "$failures" -eq 0 ] && echo "mutants-absent: none of $count names in $*"
[ "$failures" -eq 0 ]
