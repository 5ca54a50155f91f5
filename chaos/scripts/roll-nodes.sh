#!/usr/bin/env bash
# Restarts every node, one after the other, each only when the one before it serves again.
# Usage: roll-nodes.sh [PATIENCE_SECONDS]
# HOSTS names the file of a staging cluster's machines (see hosts.sh); without it this is done to an arena (see arena.sh).
set -eu
patience=${1:-60}
here=$(dirname "$0")
if [ -n "${HOSTS:-}" ]; then . "$here/hosts.sh"; else . "$here/arena.sh"; fi

for node in $(nodes); do
    restart "$node"
    deadline=$((SECONDS + patience))
    until why=$(ready "$node" 2>&1); do
        [ "$SECONDS" -lt "$deadline" ] || { echo "$node does not serve after $patience s${why:+: $why}" >&2; exit 124; }
        sleep 0.2
    done
    echo "$node serves again"
done
