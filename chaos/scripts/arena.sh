# shellcheck shell=bash
# What the scripts beside this one do to a running arena of `trine-chaos up`. Sourced by them unless HOSTS is set: hosts.sh
# has the same words for machines. ARENA names the arena's directory, TRINE_CHAOS and TRINE the programs.
arena=${ARENA:-trine-chaos-data}
chaos=${TRINE_CHAOS:-trine-chaos}
trine=${TRINE:-trine}

show() { "$chaos" status --data "$arena"; }

rows() { show | awk '/^ *NODE/ { on = 1; next } NF == 0 { on = 0 } on'; }
nodes() { rows | awk '{ print $1 }'; }
nodes_of() { rows | awk -v region="$1" '$2 == region { print $1 }'; } # REGION
ready() { [ "$(rows | awk -v node="$1" '$1 == node { print $4 }')" = yes ]; } # NODE

cut_off() { # REGION SECONDS
    cut=$1
    "$chaos" split "$cut" --data "$arena"
    trap heal EXIT
}

heal() {
    "$chaos" heal "$cut" --data "$arena"
    trap - EXIT
}

lose() { # NODE…
    lost=("$@")
    for node in "${lost[@]}"; do "$chaos" kill "$node" --data "$arena"; done
    trap bring_back EXIT
}

bring_back() {
    for node in "${lost[@]}"; do "$chaos" start "$node" --data "$arena"; done
    trap - EXIT
}

restart() { # NODE
    "$chaos" stop "$1" --data "$arena"
    "$chaos" start "$1" --data "$arena"
}

skew() { # NODE SKEW SECONDS
    skewed=$1
    "$chaos" skew "$skewed" "$2" --data "$arena"
    trap set_right EXIT
}

set_right() {
    "$chaos" skew "$skewed" ok --data "$arena"
    trap - EXIT
}

held() { # NODE; how many stamps it held because they were too far ahead of its clock
    "$chaos" exec _client --data "$arena" -- "$trine" --cluster "$arena" --endpoint "$1" status -o json |
        sed -nE 's/.*"stamps_held": *([0-9]+).*/\1/p'
}
