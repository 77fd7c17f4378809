#!/usr/bin/env bash
# The crash matrix: orders are placed while the integration process is killed (-9) at random steps and a fifth of all calls to Pim, Wms and Erp fail.
# Prints what reached the Erp, and fails unless each order is there once and the dead letters are exactly the poison ones.
# Usage: benchmarks/crash/run.sh [orders] [kills] [minutes]; 10,000, 100 and 60 unless told.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CRASH_COMMANDS=${1:-10000} CRASH_KILLS=${2:-100} CRASH_MINUTES=${3:-60}
dotnet build MobileIntegration.Tests -v q >/dev/null
exec dotnet test MobileIntegration.Tests --no-build --filter FullyQualifiedName~CrashTests --logger "console;verbosity=detailed"
