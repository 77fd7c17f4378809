#!/usr/bin/env bash
# The senders of APNs and Web Push alone beside node-apn and web-push (npm), over TLS to the same nginx. Then, for each network, what the service does in a second
# (claimed from PostgreSQL, sent, written down) beside a bare HttpClient loop against the same fake over the same HTTP/2, in turns in the same run, Web Push also beside
# web-push; the time on a core that a delivery costs the service and PostgreSQL, what it writes to the WAL, the memory of the service. Over the first of the networks also what
# a message to the same few devices costs when many more are registered, and one to a tenth of them. The last lines say which of the figures asked for are met.
# Linux; needs nginx, installs it where it may, and what MobileIntegration.Tests/clients has from npm.
# Usage: benchmarks/push/run.sh [devices] [rounds] [registered in the end] [all, senders or pipeline] [networks ...]; 100000, 3, 500000, all, and apns fcm webpush own
# unless told. webpush and own have a fifth of the devices. The own push service has no loop beside it: there is nothing to call.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v nginx >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        # RUNLEVEL=1: the package must not start a server of its own.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nginx >/dev/null
    else
        echo "nginx is missing: apt-get install nginx" >&2
        exit 1
    fi
fi
[ -d MobileIntegration.Tests/clients/node_modules ] || npm --prefix MobileIntegration.Tests/clients ci --silent
dotnet build MobileServices -c Release -v q >/dev/null
dotnet build benchmarks/push -c Release -v q >/dev/null
exec dotnet artifacts/bin/PushBenchmark/release/PushBenchmark.dll "$@"
