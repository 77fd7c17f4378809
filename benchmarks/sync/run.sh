#!/usr/bin/env bash
# Single creates, _bulk_docs, pages of _changes, and replication by pouchdb both ways, each beside pouchdb-server 4.2 on leveldb in the same run, in turns.
# Then the first pull of a new device among ten times as many deletions, with fresh=true and without.
# pouchdb-server does not wait for the disk; PostgreSQL does. Linux; needs node.
# Usage: benchmarks/sync/run.sh [rounds] [documents]; 3 and 10000 unless told.
set -euo pipefail
cd "$(dirname "$0")/../.."
(cd benchmarks/sync && npm ci --ignore-scripts >/dev/null)
dotnet build MobileServices -c Release -v q >/dev/null
dotnet build benchmarks/sync -c Release -v q >/dev/null
exec dotnet artifacts/bin/SyncBenchmark/release/SyncBenchmark.dll "${1:-3}" "${2:-10000}"
