#!/bin/sh
# What is done on a machine of a staging cluster. hosts.sh sends this text to its shell; nothing is installed there.
#
# A machine must not stay cut off, or in a wrong time, because whoever did that died or cannot reach it any more. So a switch
# comes before the fault: a process that waits there and then undoes it. It is looked for over another connection, which shows
# that it outlives its own; only then is the fault done. Undoing twice does no harm.
#
#     arm SECONDS MORE_SECONDS UNDO…      armed SWITCH DO…      disarm SWITCH UNDO…
#
# hosts.sh sets HOST, and DATE, GET_NTP and SET_NTP, which it explains.
set -eu
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL

fail() {
    echo "$HOST: $*" >&2
    exit 1
}

arm() { # prints the switch: its process group
    seconds=$1 more=$2
    shift 2
    (sleep "$seconds" "$more" && "$@") </dev/null >/dev/null 2>&1 &
    echo "$$"
}

armed() {
    kill -s 0 -- "-$1" 2>/dev/null || fail "what would undo this by itself does not run any more, so nothing was done"
    shift
    "$@"
}

disarm() { # if undoing fails, the switch will try again
    switch=$1
    shift
    "$@"
    kill -s TERM -- "-$switch" 2>/dev/null || :
}

has_chain() { # TABLES CHAIN
    "$1" -w -n -L "$2" >/dev/null 2>&1
}

cut_off() { # CHAIN ADDRESS…
    chain=$1
    shift
    for address; do
        case $address in *:*) tables=ip6tables ;; *) tables=iptables ;; esac
        command -v "$tables" >/dev/null || fail "$address cannot be cut off without $tables; install iptables"
        has_chain "$tables" "$chain" || "$tables" -w -N "$chain"
        "$tables" -w -A "$chain" -s "$address" -j DROP
        "$tables" -w -A "$chain" -d "$address" -j DROP
    done
    # Forwarded packets are those of nodes in containers.
    for tables in iptables ip6tables; do
        has_chain "$tables" "$chain" || continue
        for hook in INPUT OUTPUT FORWARD; do "$tables" -w -I "$hook" -j "$chain"; done
    done
}

heal() { # CHAIN
    found=
    for tables in iptables ip6tables; do
        has_chain "$tables" "$1" || continue
        found=yes
        for hook in INPUT OUTPUT FORWARD; do "$tables" -w -D "$hook" -j "$1" 2>/dev/null || :; done
        "$tables" -w -F "$1"
        "$tables" -w -X "$1"
    done
    [ -n "$found" ] || fail "nothing was cut off here when it was to be healed"
}

set_ntp() { # true or false
    eval "$SET_NTP"
}

read_clock() { # prints the time, the monotonic clock at that time, and whether NTP keeps it
    ntp=$(eval "$GET_NTP")
    read -r up _ </proc/uptime
    echo "$($DATE +%s.%N) $up ${ntp:-no}"
}

step() { # SECONDS, with a sign
    set_ntp false
    $DATE -s "@$(awk -v now="$($DATE +%s.%N)" -v by="$1" 'BEGIN { printf "%.3f", now + by }')" >/dev/null
}

right() { # what read_clock printed; the monotonic clock knows how long ago that was, unless it began anew
    read -r up _ </proc/uptime
    now=$(awk -v wall="$1" -v then="$2" -v up="$up" 'BEGIN { if (up >= then) printf "%.3f", wall + up - then }')
    if [ -n "$now" ]; then $DATE -s "@$now" >/dev/null; fi
    [ "$3" != yes ] || set_ntp true
    [ -n "$now" ] || fail "the machine was restarted meanwhile; look at its clock"
}

"$@"
