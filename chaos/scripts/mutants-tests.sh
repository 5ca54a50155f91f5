#!/usr/bin/env bash
# Runs, under each deliberate defect that the simulator cannot see, the tests that are to show it, and prints a table of
# which of them failed. Needs a `trine-chaos` built with `--features mutants`; CARGO_TARGET_DIR as for that.
#
#     chaos/scripts/mutants-tests.sh [MUTANT…]
#
# Tests of the pure crates take a defect's name when they are built, so that each costs a build. Ends with exit code 1 when
# a defect was seen by no test, or when its tests could not be built. Needs bash, awk and cargo.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
chaos=${CARGO_TARGET_DIR:-$top/target}/debug/trine-chaos
[ -x "$chaos" ] || { echo "mutants-tests: there is no $chaos: build it with --features mutants" >&2; exit 1; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT

survivors=0
printf '| mutant | tests of | failed |\n|---|---|---|\n'
while IFS=$'\t' read -r name package filter; do
    if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qxF "$name"; then
        continue
    fi
    features=trine-probe/mutants
    case $package in trine-node | trine-cli | trine-chaos) features=mutants ;; esac
    build=(cargo test --manifest-path "$top/Cargo.toml" --locked -p "$package" --features "$features" --test it --no-run)
    # Daemons and their tests take the name when they run.
    case $package in trine-node | trine-cli | trine-journal | trine-raft | trine-chaos) chosen=(env -u TRINE_MUTANT) ;; *) chosen=(env "TRINE_MUTANT=$name") ;; esac
    tests=""
    if "${chosen[@]}" "${build[@]}" >"$log" 2>&1 </dev/null; then
        tests=$(sed -nE 's/^ *Executable .*\((.*)\)$/\1/p' "$log" | tail -n 1)
        case $tests in /*) ;; *) tests=$top/$tests ;; esac
        (cd "$top/${package#trine-}" && TRINE_MUTANT=$name "$tests" "$filter") >"$log" 2>&1 </dev/null || true
    fi
    failed=$(awk '/^test .* FAILED$/ { print "`" $2 "`" }' "$log" | sort -u | paste -sd ' ')
    if [ -z "$tests" ]; then
        failed="DOES NOT BUILD"
    elif [ -z "$failed" ]; then
        failed=NOBODY
    fi
    case $failed in "DOES NOT BUILD" | NOBODY) survivors=$((survivors + 1)) ;; esac
    printf '| `%s` | %s, `%s` | %s |\n' "$name" "$package" "$filter" "$failed"
done < <("$chaos" mutants --elsewhere)
echo "$survivors of them were seen by nobody"
[ "$survivors" -eq 0 ]
