#!/usr/bin/env bash
# A private PostgreSQL server for tests and trials, on a free port of the loopback, in a folder of its own.
#   deploy/local-postgres.sh start <folder>    makes it where it is not there, starts it and prints its connection string (of a superuser)
#   deploy/local-postgres.sh stop <folder>     stops it and removes the folder
#   deploy/local-postgres.sh halt|kill|restart <folder>    stops it as an operator does, kills all of its processes, starts it again
#   deploy/local-postgres.sh promote <folder>              starts it again on a new timeline, as a standby does that becomes the primary
set -euo pipefail
folder=$(realpath -m "${2:?folder}")

need() {
  local root=(); [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq && "${root[@]}" apt-get install -y -qq --no-install-recommends postgresql >/dev/null
}
binaries() { find /usr/lib/postgresql/*/bin -name pg_ctl -printf '%h\n' 2>/dev/null | sort -V | tail -n 1; }
[ -n "$(binaries)" ] || need
bin=$(binaries)

# The server refuses to run as root; Debian's package brings a user for it.
as_server() { if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid postgres --regid postgres --init-groups -- "$@"); else "$@"; fi; }

run() { as_server "$bin/pg_ctl" --pgdata "$folder/data" --log "$folder/log" --wait --silent start >/dev/null; }

case ${1:?start, stop, halt, kill, restart or promote} in
  start)
    mkdir -p "$folder" && { [ "$(id -u)" != 0 ] || chown postgres "$folder"; }
    as_server test -w "$folder" || { echo "PostgreSQL's own user cannot enter $folder: take a folder that others may enter." >&2; exit 1; }
    if [ ! -d "$folder/data" ]; then
      as_server "$bin/initdb" --pgdata "$folder/data" --username postgres --auth trust --encoding UTF8 --no-locale --no-sync >/dev/null
      # Below the ports that outgoing connections take: while it is down, its port stays its own.
      port=$(node -e '
        const attempt = () => {
          const port = 10000 + Math.floor(Math.random() * 4000)
          const probe = require("net").createServer().once("error", attempt).listen(port, "127.0.0.1", () => probe.close(() => console.log(port)))
        }
        attempt()')
      printf '%s\n' "port = $port" "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" "max_connections = 400" "shared_buffers = 256MB" \
        | as_server tee -a "$folder/data/postgresql.conf" >/dev/null
    fi
    run
    port=$(sed -n 's/^port = //p' "$folder/data/postgresql.conf" | tail -n 1)
    echo "Host=127.0.0.1;Port=$port;Username=postgres;Database=postgres"
    ;;
  halt) as_server "$bin/pg_ctl" --pgdata "$folder/data" --mode fast --wait --silent stop ;;
  kill)
    server=$(head -n 1 "$folder/data/postmaster.pid")
    children=$(awk -v server="$server" '/^PPid:/ && $2 == server { split(FILENAME, part, "/"); print part[3] }' /proc/[0-9]*/status 2>/dev/null || true)
    kill -KILL "$server" $children
    while kill -0 "$server" 2>/dev/null; do :; done
    ;;
  restart) run ;;
  promote)
    as_server touch "$folder/data/recovery.signal"
    echo "restore_command = 'false'" | as_server tee -a "$folder/data/postgresql.conf" >/dev/null
    run
    ;;
  stop)
    as_server "$bin/pg_ctl" --pgdata "$folder/data" --mode immediate --silent stop || true
    rm -rf "$folder"
    ;;
esac
