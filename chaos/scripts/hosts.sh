# shellcheck shell=bash disable=SC2046,SC2086  # split where there are several words
# What the scripts beside this one do to a staging cluster of machines, in the words that arena.sh has for an arena. Sourced by
# them when HOSTS names a file, which has a line for each node:
#
#     # NODE       REGION     HOST            UNIT   READY                         ADDRESS…
#     us-east-1-a  us-east-1  root@10.0.1.11  trine  http://127.0.0.1:7420/readyz  10.0.1.11 fd00:1::11
#     eu-west-1-a  eu-west-1  root@10.0.2.11  trine  http://127.0.0.1:7420/readyz  10.0.2.11 fd00:2::11
#
# READY is asked on the host itself. ADDRESSes are all those under which other hosts speak to it: they are what is cut off, so the
# machine that runs a script must be none of them. No machine has nodes of two regions. A host needs root, `sh`, `setsid`, and of
# iptables, curl, systemctl, timedatectl and GNU date what is used; nothing of Trine's. From the environment come:
#
#     RUN                    what reaches a host: `$RUN HOST COMMAND`, with a program on standard input, as ssh or `ip netns exec`
#     SUDO                   what makes root of the user there, such as `sudo -n`
#     KILL_NODE, STOP_NODE, START_NODE    what does so to a node, on its host; `$1` is its UNIT
#     FETCH                  what prints a URL, and fails when the answer is no success
#     DATE                   what tells and sets the clock as `date` does
#     GET_NTP, SET_NTP       what prints `yes` where NTP keeps the clock (`echo no` where nothing does); what sets that: `$1` is
#                            `true` or `false`
#     SPARE                  after how many seconds more a host undoes by itself what nobody undid
: "${RUN:=ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5}"
: "${SUDO:=}"
# Killed is also stopped, lest systemd starts it again at once.
: "${KILL_NODE:=systemctl kill -s KILL \"\$1\" && systemctl stop \"\$1\"}"
: "${STOP_NODE:=systemctl stop \"\$1\"}"
: "${START_NODE:=systemctl start \"\$1\"}"
: "${FETCH:=curl -fsSk --max-time 5}"
: "${DATE:=date}"
: "${GET_NTP:=timedatectl show -p NTP --value}"
: "${SET_NTP:=timedatectl set-ntp \"\$1\"}"
: "${SPARE:=60}"

fail() { # CODE WHAT…
    echo "${*:2}" >&2
    exit "$1"
}

cluster=$(sed 's/#.*//; /^[[:space:]]*$/d' "$HOSTS")
awk 'NF < 6 || seen[$1]++ { print; bad = 1 } END { exit bad }' <<<"$cluster" >&2 ||
    fail 2 "$HOSTS: each node must have one line, NODE REGION HOST UNIT READY ADDRESS…"
verbs=$(
    echo "DATE=${DATE@Q} GET_NTP=${GET_NTP@Q} SET_NTP=${SET_NTP@Q}"
    cat "$(dirname "${BASH_SOURCE[0]}")/on-host.sh"
)

# The program has its arguments in it, since ssh would have them split again, and braces, so that it is read before it runs.
on() { # HOST PROGRAM [ARGUMENT…]
    local host=$1 program=$2
    shift 2
    printf 'HOST=%s; set -- %s\n{\n%s\n} </dev/null\n' "${host@Q}" "${*@Q}" "$program" | $RUN "$host" $SUDO setsid -w sh
}

on_host() { # HOST VERB…, as in on-host.sh
    on "$1" "$verbs" "${@:2}"
}

all() { # FUNCTION ITEM…: for all at once; fails when one does
    local jobs=() failed=0 item
    for item in "${@:2}"; do
        "$1" "$item" &
        jobs+=($!)
    done
    for item in "${jobs[@]}"; do wait "$item" || failed=1; done
    return "$failed"
}

# What was begun on a host goes on there when ssh is interrupted, and would then come after what undoes it.
uninterrupted() { # FUNCTION…
    local code=0
    trap '' INT TERM HUP
    "$@" || code=$?
    trap - INT TERM HUP
    return "$code"
}

look_up() { # NODE; sets its region, host, unit and url
    read -r _ region host unit url _ < <(awk -v node="$1" '$1 == node' <<<"$cluster") ||
        fail 3 "no node $1 in $HOSTS"
}

nodes() { awk '{ print $1 }' <<<"$cluster"; }
nodes_of() { awk -v region="$1" '$2 == region { print $1 }' <<<"$cluster"; } # REGION

show() {
    printf '%-20s %-16s %-24s %s\n' NODE REGION HOST READY
    all show_node $(nodes) | sort
}

show_node() { # NODE
    local region host unit url
    look_up "$1"
    printf '%-20s %-16s %-24s %s\n' "$1" "$region" "$host" "$(ready "$1" 2>/dev/null && echo yes || echo no)"
}

ready() { # NODE
    local region host unit url
    look_up "$1"
    on "$host" "$FETCH \"\$1\"" "$url" >/dev/null
}

cut_off() { # REGION SECONDS
    local host
    declare -gA switches
    chain=trine-cut-$$-$RANDOM
    inside=$(awk -v region="$1" '$2 == region { print $3 }' <<<"$cluster" | sort -u)
    others=$(awk -v region="$1" '$2 != region { for (i = 6; i <= NF; i++) print $i }' <<<"$cluster" | sort -u)
    [ -n "$inside" ] || fail 3 "no nodes of $1 in $HOSTS"
    [ -n "$others" ] || fail 3 "no nodes of regions other than $1 in $HOSTS"
    for host in $inside; do
        awk -v region="$1" -v host="$host" '$2 != region && $3 == host { exit 1 }' <<<"$cluster" ||
            fail 2 "$host has nodes of $1 and of another region: such a machine cannot be cut off from itself"
    done
    for host in $inside; do switches[$host]=$(on_host "$host" arm "$2" "$SPARE" heal "$chain"); done
    trap heal EXIT
    uninterrupted all cut_host $inside
}

heal() {
    trap - EXIT
    uninterrupted all heal_host $inside || fail 1 "not all healed as they should; what is still cut off heals by itself"
}

cut_host() { on_host "$1" armed "${switches[$1]}" cut_off "$chain" $others; }
heal_host() { on_host "$1" disarm "${switches[$1]}" heal "$chain"; }

lose() { # NODE…
    lost=("$@")
    trap bring_back EXIT
    uninterrupted all kill_node "${lost[@]}"
}

bring_back() {
    trap - EXIT
    uninterrupted all start_node "${lost[@]}" || fail 1 "not all could be started: $START_NODE"
}

restart() { # NODE
    restarted=$1
    trap 'start_node "$restarted"' EXIT
    stop_node "$1"
    start_node "$1"
    trap - EXIT
}

kill_node() { on_node "$1" "$KILL_NODE"; }
stop_node() { on_node "$1" "$STOP_NODE"; }
start_node() { on_node "$1" "$START_NODE"; }

on_node() { # NODE COMMAND
    local region host unit url
    look_up "$1"
    on "$host" "$2" "$unit"
}

skew() { # NODE SKEW SECONDS
    local by region host unit url
    by=$(awk -v skew="$2" 'BEGIN {
        if (skew !~ /^[+-][0-9.]+(ms|s|m|h)$/) exit 1
        unit["ms"] = 0.001; unit["s"] = 1; unit["m"] = 60; unit["h"] = 3600
        number = name = skew; sub(/[a-z]+$/, "", number); sub(/^[+-][0-9.]+/, "", name)
        printf "%.3f", number * unit[name]
    }') || fail 2 "a machine's clock cannot be wrong by $2; say +5s, -2s, +500ms or +10m"
    look_up "$1"
    skewed=$host
    clock=$(on_host "$skewed" read_clock)
    switch=$(on_host "$skewed" arm "$3" "$SPARE" right $clock)
    trap set_right EXIT
    uninterrupted on_host "$skewed" armed "$switch" step "$by"
}

set_right() {
    trap - EXIT
    uninterrupted on_host "$skewed" disarm "$switch" right $clock ||
        fail 1 "the clock of $skewed may still be wrong; look at it"
}

held() { # NODE; how many stamps it held because they were too far ahead of its clock
    local region host unit url
    look_up "$1"
    on "$host" "$FETCH \"\$1\"" "${url%/readyz*}/metrics" | sed -nE 's/^trine_stamps_held_total(\{.*\})? //p'
}
