#!/usr/bin/env bash
# The gateway with all that it does (token, app gate, limits on Redis, telemetry) against bare YARP, nginx and HAProxy before the same upstream, with 10,000
# different tokens and 64 connections: requests/s and processor time of the proxy a request, as ratios to those of the same round; what each adds to
# the median at a fixed 1,000 requests/s; memory for 10,000 tokens and 10,000 open long polls. The last lines say which of the figures asked for are met.
# Linux; needs wrk, nginx and haproxy, and installs them where it may. About 9 minutes, on a machine that does nothing else.
# Usage: benchmarks/gateway/run.sh [rounds] [seconds] [warm-up seconds] [words ...]; 3, 10 and 30 unless told: until the code is compiled for what it does,
# which takes some 20 s of load, the gateway needs up to three times as long for a call. With words ("traced") only
# the proxies in whose names one of them stands are compared, beside bare YARP and HAProxy.
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in wrk nginx haproxy; do
    command -v "$tool" >/dev/null && continue
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        # RUNLEVEL=1: the package must not start a server of its own.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$tool" >/dev/null
    else
        echo "$tool is missing: apt-get install $tool" >&2
        exit 1
    fi
done
dotnet build Gateway -c Release -v q >/dev/null
dotnet build benchmarks/gateway -c Release -v q >/dev/null
exec dotnet artifacts/bin/GatewayBenchmark/release/GatewayBenchmark.dll "$@"
