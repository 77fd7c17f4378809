#!/usr/bin/env bash
# Bulk evaluations (OFREP) of 100 flags a second and their 99th percentile, each with its own targeting key, beside an endpoint that answers the
# same bytes from memory and evaluates nothing, in the same run. Linux; needs wrk (apt-get install wrk).
# Usage: benchmarks/configuration/run.sh [rounds] [seconds]; 3 and 8 unless told.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 1; }
dotnet build MobileServices -c Release -v q >/dev/null
dotnet build benchmarks/configuration -c Release -v q >/dev/null
exec dotnet artifacts/bin/ConfigurationBenchmark/release/ConfigurationBenchmark.dll "$@"
