#!/usr/bin/env bash
# Events a second that are durable, in batches of 100 over HTTP, as a share of raw binary COPY of the same rows into the same table on one connection, in turns in
# one run; how fast they get into the numbers; and a funnel of 30 days over many events, from the rollups. Everything runs on this machine, the sender too.
# Usage: benchmarks/analytics/run.sh [rounds] [seconds] [events of the funnel]; 3, 8 and 1000000 unless told; the stated figure is of 10000000.
set -euo pipefail
cd "$(dirname "$0")/../.."
dotnet build MobileServices -c Release -v q >/dev/null
dotnet build benchmarks/analytics -c Release -v q >/dev/null
exec dotnet artifacts/bin/AnalyticsBenchmark/release/AnalyticsBenchmark.dll "$@"
