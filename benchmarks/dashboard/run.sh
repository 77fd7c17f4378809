#!/usr/bin/env bash
# The dashboard under load: memory of its process (the AppHost) and updates of its pages while home pages are asked for through the gateway, with
# the Blueprint, the traces, the metrics and the console open in a browser. Linux, Chromium in /usr/bin.
# Usage: benchmarks/dashboard/run.sh [minutes] [requests/s] [AppHost arguments ...]; 10 minutes at 100 unless told.
set -euo pipefail
cd "$(dirname "$0")/../.."
dotnet build MobileIntegration.AppHost -v q >/dev/null
dotnet build benchmarks/dashboard -c Release -v q >/dev/null
exec dotnet artifacts/bin/DashboardBenchmark/release/DashboardBenchmark.dll "$@"
