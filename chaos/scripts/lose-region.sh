#!/usr/bin/env bash
# Kills every node of a region of a running arena with SIGKILL, waits, and starts them again.
# Usage: lose-region.sh [REGION] [SECONDS]; ARENA names the arena's directory, TRINE_CHAOS the program.
set -eu
region=${1:-ap-southeast-1}
seconds=${2:-10}
arena=${ARENA:-trine-chaos-data}
chaos=${TRINE_CHAOS:-trine-chaos}

# Nodes are named after their region and a letter.
nodes=$("$chaos" status --data "$arena" | awk -v region="$region" '$2 == region { print $1 }' | grep "^$region-[a-z]$")
[ -n "$nodes" ] || { echo "no nodes of $region" >&2; exit 3; }
for node in $nodes; do "$chaos" kill "$node" --data "$arena"; done
echo "$region is lost for $seconds s"
sleep "$seconds"
for node in $nodes; do "$chaos" start "$node" --data "$arena"; done
"$chaos" status --data "$arena"
