#!/usr/bin/env bash
# Restarts every node of a running arena, one after the other, each only when the one before it serves again.
# Usage: roll-nodes.sh [PATIENCE_SECONDS]; ARENA names the arena's directory, TRINE_CHAOS the program.
set -eu
patience=${1:-60}
arena=${ARENA:-trine-chaos-data}
chaos=${TRINE_CHAOS:-trine-chaos}

state() { "$chaos" status --data "$arena" | awk -v node="$1" '$1 == node { print $4; exit }'; }

nodes=$("$chaos" status --data "$arena" | awk '/^ *NODE/ { on = 1; next } NF == 0 { on = 0 } on { print $1 }')
for node in $nodes; do
    "$chaos" stop "$node" --data "$arena"
    "$chaos" start "$node" --data "$arena"
    deadline=$((SECONDS + patience))
    until [ "$(state "$node")" = yes ]; do
        [ "$SECONDS" -lt "$deadline" ] || { echo "$node does not serve after $patience s" >&2; exit 124; }
        sleep 0.2
    done
    echo "$node serves again"
done
