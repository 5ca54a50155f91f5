#!/usr/bin/env bash
# Cuts a region off a running arena for a while, heals, and shows the nodes before, during and after.
# Usage: split-region.sh [REGION] [SECONDS]; ARENA names the arena's directory, TRINE_CHAOS the program.
set -eu
region=${1:-eu-west-1}
seconds=${2:-30}
arena=${ARENA:-trine-chaos-data}
chaos=${TRINE_CHAOS:-trine-chaos}

"$chaos" status --data "$arena"
"$chaos" split "$region" --data "$arena"
trap '"$chaos" heal "$region" --data "$arena"' EXIT
echo "$region is cut off for $seconds s; clients still reach both sides"
sleep "$seconds"
"$chaos" status --data "$arena"
"$chaos" heal "$region" --data "$arena"
trap - EXIT
"$chaos" status --data "$arena"
