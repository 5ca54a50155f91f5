#!/usr/bin/env bash
# Sets a node's clock wrong in a running arena (`up --clocks`) for a while, then right again, and shows how many stamps the
# others held meanwhile because they were too far ahead to be believed.
# Usage: skew-clock.sh [NODE] [SKEW] [SECONDS]; SKEW is +5s, -2s or drift=1.01. ARENA names the arena's directory,
# TRINE_CHAOS and TRINE the programs.
set -eu
node=${1:-us-east-1-a}
skew=${2:-+5s}
seconds=${3:-20}
arena=${ARENA:-trine-chaos-data}
chaos=${TRINE_CHAOS:-trine-chaos}
trine=${TRINE:-trine}

names() { "$chaos" status --data "$arena" | awk '/^ *NODE/ { on = 1; next } NF == 0 { on = 0 } on { print $1 }'; }
held() {
    for other in $(names); do
        count=$("$chaos" exec _client --data "$arena" -- "$trine" --cluster "$arena" --endpoint "$other" status -o json |
            sed -nE 's/.*"stamps_held": *([0-9]+).*/\1/p')
        echo "  $other held ${count:-an unknown number of} stamps"
    done
}

"$chaos" skew "$node" "$skew" --data "$arena"
trap '"$chaos" skew "$node" ok --data "$arena"' EXIT
echo "the clock of $node is wrong by $skew for $seconds s"
sleep "$seconds"
"$chaos" status --data "$arena" | awk -v node="$node" '$1 == node { print "  " $0 }'
held
"$chaos" skew "$node" ok --data "$arena"
trap - EXIT
echo "the clock of $node is right again; its stamps are believed when the others' clocks have come near"
