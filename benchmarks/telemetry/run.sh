#!/usr/bin/env bash
# Spans per second over OTLP/gRPC that the dashboard keeps in memory and in its file, beside what a sink that throws them away takes; the time of
# the trace list with full buffers, at rest and meanwhile; memory at the limits. The sender is a process on the same machine.
# Usage: benchmarks/telemetry/run.sh [rounds] [seconds] [memory]: "memory" leaves the file out.
#
# "=> spans/s" is what the processor time of both would allow with all processors free, which other load does not change.
set -euo pipefail
cd "$(dirname "$0")/../.."
dotnet build benchmarks/telemetry -c Release -v q >/dev/null
exec dotnet artifacts/bin/TelemetryBenchmark/release/TelemetryBenchmark.dll "$@"
