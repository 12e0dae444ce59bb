#!/usr/bin/env bash
# A private PostgreSQL server for tests, on a free port of the loopback, in a folder of its own.
#   tests/postgres.sh start <folder>    starts it and prints its connection string (a superuser's)
#   tests/postgres.sh stop <folder>     stops it and removes the folder
set -euo pipefail
folder=${2:?folder}

need() {
  local root=(); [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq && "${root[@]}" apt-get install -y -qq --no-install-recommends postgresql >/dev/null
}
binaries() { find /usr/lib/postgresql/*/bin -name pg_ctl -printf '%h\n' 2>/dev/null | sort -V | tail -n 1; }
[ -n "$(binaries)" ] || need
bin=$(binaries)

# The server refuses to run as root; Debian's package brings a user for it.
as_server() { if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid postgres --regid postgres --init-groups -- "$@"); else "$@"; fi; }

case ${1:?start or stop} in
  start)
    mkdir -p "$folder" && { [ "$(id -u)" != 0 ] || chown postgres "$folder"; }
    as_server "$bin/initdb" --pgdata "$folder/data" --username postgres --auth trust --encoding UTF8 --no-locale --no-sync >/dev/null
    port=$(node -e 's = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
    as_server "$bin/pg_ctl" --pgdata "$folder/data" --log "$folder/log" --wait --silent \
      -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=400 -c shared_buffers=256MB" start >/dev/null
    echo "Host=127.0.0.1;Port=$port;Username=postgres;Database=postgres"
    ;;
  stop)
    as_server "$bin/pg_ctl" --pgdata "$folder/data" --mode immediate --silent stop || true
    rm -rf "$folder"
    ;;
esac
