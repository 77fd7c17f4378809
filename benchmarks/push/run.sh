#!/usr/bin/env bash
# What the push pipeline does in a second (claimed from PostgreSQL, sent to APNs, written down) beside a bare HttpClient loop against the same fake over the same HTTP/2,
# in turns in the same run; the time on a core that a delivery costs the service and PostgreSQL, what it writes to the WAL, the memory of the service; and what a
# message to the same few devices costs when many more are registered. Linux.
# Usage: benchmarks/push/run.sh [devices] [rounds] [registered in the end] [all, senders or pipeline]; 100000, 3, 500000 and all unless told.
set -euo pipefail
cd "$(dirname "$0")/../.."
dotnet build MobileServices -c Release -v q >/dev/null
dotnet build benchmarks/push -c Release -v q >/dev/null
exec dotnet artifacts/bin/PushBenchmark/release/PushBenchmark.dll "$@"
