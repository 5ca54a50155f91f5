#!/usr/bin/env bash
# Sets a node's clock wrong for a while, then right again, however this ends, and shows how many stamps the others held
# meanwhile because they were too far ahead to be believed.
# Usage: skew-clock.sh [NODE] [SKEW] [SECONDS]; SKEW is +5s, -2s or, in an arena, drift=1.01
# HOSTS names the file of a staging cluster's machines (see hosts.sh); without it this is done to an arena (see arena.sh), which
# must be of `up --clocks`.
set -eu
node=${1:-us-east-1-a}
skew=${2:-+5s}
seconds=${3:-20}
here=$(dirname "$0")
if [ -n "${HOSTS:-}" ]; then . "$here/hosts.sh"; else . "$here/arena.sh"; fi

skew "$node" "$skew" "$seconds"
echo "the clock of $node is wrong by $skew for $seconds s"
sleep "$seconds"
show | awk -v node="$node" '$1 == node { print "  " $0 }'
for other in $(nodes); do
    count=$(held "$other" || true)
    echo "  $other held ${count:-an unknown number of} stamps"
done
set_right
echo "the clock of $node is right again; its stamps are believed when the others' clocks have come near"
