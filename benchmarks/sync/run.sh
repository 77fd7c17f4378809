#!/usr/bin/env bash
# The sync service beside pouchdb-server 4.2 on leveldb in the same run, in turns; pouchdb-server does not wait for the disk, PostgreSQL does. Linux; needs node.
#   creates   single creates by 1 and by 16 clients            at least 4 times as many
#   bulk      _bulk_docs of 100 by 4 clients                   at least 3 times
#   changes   pages of 100 of _changes with documents          at least 5 times
#   pouchdb   replication by pouchdb, each way                 at least 1.5 times
# And the service by itself:
#   start     the first pull of a new device among ten times as many deletions, with fresh=true and without
#   page      a page of 100 beside a bare ASP.NET + Npgsql endpoint that reads the same rows: at least 0.6
#   flat      a pull of 100 changes from 1,000,000 documents beside one from 10,000: the same
#   feeds     memory of 10,000 idle live feeds: under 200 MB
# Usage: benchmarks/sync/run.sh [--rounds 3] [--documents 10000] [--warm-up 20 (seconds)] [--feeds 10000] [--service another build's MobileServices.dll] [part...]; all parts unless told.
set -euo pipefail
cd "$(dirname "$0")/../.."
(cd benchmarks/sync && npm ci --ignore-scripts >/dev/null)
dotnet build MobileServices -c Release -v q >/dev/null
dotnet build benchmarks/sync -c Release -v q >/dev/null
exec dotnet artifacts/bin/SyncBenchmark/release/SyncBenchmark.dll "$@"
