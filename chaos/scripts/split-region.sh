#!/usr/bin/env bash
# Cuts a region off for a while, heals, however this ends, and shows the nodes before, during and after.
# Usage: split-region.sh [REGION] [SECONDS]
# HOSTS names the file of a staging cluster's machines (see hosts.sh); without it this is done to an arena (see arena.sh).
set -eu
region=${1:-eu-west-1}
seconds=${2:-30}
here=$(dirname "$0")
if [ -n "${HOSTS:-}" ]; then . "$here/hosts.sh"; else . "$here/arena.sh"; fi

show
cut_off "$region" "$seconds"
echo "$region is cut off for $seconds s; clients still reach both sides"
sleep "$seconds"
show
heal
show
