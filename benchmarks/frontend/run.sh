#!/usr/bin/env bash
# GET /api/home against a hand-written endpoint that makes the same four calls with plain HttpClient, before the same upstream, 1,000 customers with a token each
# and 64 connections: requests/s as ratios to the hand-written one of the same round, cold (every section asked for each time) and warm (kept sections),
# every request traced. Then all 256 combinations of four backends that are up, slow, down or refusing, through the real services: how long the
# answers took against their deadline of 800 ms, and whether each section says what it must. Linux; needs wrk (apt-get install wrk).
# And the sizes of answers, not compressed.
# Usage: benchmarks/frontend/run.sh [rounds] [seconds] [warm-up seconds] [requests a combination]; 3, 10, 10 and 8 unless told; 0 leaves a part out.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 1; }
for project in FrontendServices IntegrationServices BackendSystems benchmarks/frontend; do
  dotnet build "$project" -c Release -v q >/dev/null
done
exec dotnet artifacts/bin/FrontendBenchmark/release/FrontendBenchmark.dll "$@"
