#!/usr/bin/env bash
# Kills every node of a region with SIGKILL, waits, and starts them again, however this ends.
# Usage: lose-region.sh [REGION] [SECONDS]
# HOSTS names the file of a staging cluster's machines (see hosts.sh); without it this is done to an arena (see arena.sh).
set -eu
region=${1:-ap-southeast-1}
seconds=${2:-10}
here=$(dirname "$0")
if [ -n "${HOSTS:-}" ]; then . "$here/hosts.sh"; else . "$here/arena.sh"; fi

nodes=$(nodes_of "$region")
[ -n "$nodes" ] || { echo "no nodes of $region" >&2; exit 3; }
# shellcheck disable=SC2086  # a word each
lose $nodes
echo "$region is lost for $seconds s"
sleep "$seconds"
bring_back
show
