#!/usr/bin/env bash
# How long the AppHost takes from its own start to all resources healthy, cold (no data) and warm, and the memory of all its processes at
# rest (sum of PSS): to be held are 12 s, 6 s and 800 MB on two cores with nothing beside. Linux. Usage: benchmarks/startup/run.sh [rounds] [AppHost arguments ...]
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}
shift || true

dotnet build MobileIntegration.AppHost -v q >/dev/null
apphost=artifacts/bin/MobileIntegration.AppHost/debug/MobileIntegration.AppHost.dll
data=$(mktemp -d)
log=$(mktemp)
pid=
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$data" "$log"' EXIT

start() {
    : >"$log"
    local began=$EPOCHREALTIME
    DOTNET_ENVIRONMENT=Development DOTNET_EnableWriteXorExecute=0 dotnet "$apphost" --data-folder "$data" "$@" >"$log" 2>&1 &
    pid=$!
    # Waits without asking again and again, which would take processor time from what is measured.
    grep -q -m1 'resources are healthy' < <(tail -n +1 -f --pid="$pid" "$log" 2>/dev/null) || { cat "$log"; exit 1; }
    awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

memory() {
    local all=$pid
    # A server's own children belong to it: everything below the AppHost counts.
    local grown=
    while [ "$all" != "$grown" ]; do
        grown=$all
        all=$(echo "$pid" $(for p in $grown; do pgrep -P "$p" || true; done) $grown | tr ' ' '\n' | sort -un | tr '\n' ' ')
    done
    for p in $all; do awk '/^Pss:/ { print $2 }' "/proc/$p/smaps_rollup" 2>/dev/null || true; done | awk '{ sum += $1 } END { printf "%d", sum / 1024 }'
}

stop() {
    kill -TERM "$pid"
    wait "$pid" || true
}

printf '%-6s %8s %8s %12s\n' round cold warm 'memory MB'
for round in $(seq "$rounds"); do
    rm -rf "$data"
    start "$@" >"$log.cold"
    stop
    start "$@" >"$log.warm"
    sleep 10
    printf '%-6s %7ss %7ss %12s\n' "$round" "$(cat "$log.cold")" "$(cat "$log.warm")" "$(memory)"
    stop
done
rm -f "$log.cold" "$log.warm"
