#!/usr/bin/env bash
# A cluster on this machine: PostgreSQL and three silos as local processes, until Ctrl-C.
#   deploy/local-cluster.sh             data in ./data/cluster; silos on ports 8080, 8081 and 8082
#   DVARA_PORT=9000 deploy/local-cluster.sh /var/tmp/trial
# DVARA_POSTGRES names a PostgreSQL of yours; otherwise a private one is started beside the silos. Provider settings such as OPENAI_API_KEY
# pass through. DVARA_SERVER names a built Dvara.Server.dll; otherwise it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mkdir -p "${1:-data/cluster}" && cd "${1:-data/cluster}" && pwd)
port=${DVARA_PORT:-8080}

if [ -z "${DVARA_SERVER:-}" ]; then
  dotnet build -c Release -v quiet src/Dvara.Server
  DVARA_SERVER=$(ls "$PWD"/src/Dvara.Server/bin/Release/net*/*/Dvara.Server.dll)
fi

silos=()
stop() {
  trap - EXIT INT TERM
  # One after the other, as a rollout does it.
  for silo in "${silos[@]}"; do kill -TERM "$silo" 2>/dev/null && wait "$silo" || true; done
  [ -z "${server:-}" ] || deploy/local-postgres.sh halt "$server"
}
# start <n>: a silo on its own port and folder; what it prints is appended to its log
start() {
  ASPNETCORE_URLS=http://localhost:$((port + $1)) DVARA_DATA_DIR=$folder/silo-$1 DVARA_SILO_PORT=0 dotnet "$DVARA_SERVER" >>"$folder/silo-$1.log" 2>&1 &
  silos[$1]=$!
}
trap stop EXIT
trap 'exit 0' INT TERM

# Kept between runs, like the data.
keep() { [ -s "$folder/$1" ] || (umask 077 && openssl rand -hex 32 >"$folder/$1"); cat "$folder/$1"; }
DVARA_MASTER_KEY=${DVARA_MASTER_KEY:-$(keep master-key)}
DVARA_ADMIN_TOKEN=${DVARA_ADMIN_TOKEN:-$(keep admin-token)}
if [ -z "${DVARA_POSTGRES:-}" ]; then
  server=$folder/postgres
  # As root its server runs as a user of its own, who must get there.
  [ "$(id -u)" != 0 ] || chmod go+x "$folder"
  DVARA_POSTGRES=$(deploy/local-postgres.sh start "$server")
fi
export DVARA_MASTER_KEY DVARA_ADMIN_TOKEN DVARA_POSTGRES DVARA_ADVERTISED_IP=127.0.0.1

dotnet "$DVARA_SERVER" migrate
for n in 0 1 2; do start $n; done
for n in 0 1 2; do
  until curl -sf -o /dev/null "http://localhost:$((port + n))/readyz"; do
    kill -0 "${silos[$n]}" 2>/dev/null || { cat "$folder/silo-$n.log" >&2; exit 1; }
    sleep 0.2
  done
done

cat <<END

A cluster of three silos is ready; any of them takes any request.
  Silos        http://localhost:$port  http://localhost:$((port + 1))  http://localhost:$((port + 2))
  PostgreSQL   $DVARA_POSTGRES
  Admin token  $DVARA_ADMIN_TOKEN
  Logs         $folder/silo-*.log
A silo that ends is started again, as a service manager would. Ctrl-C stops all; what it holds stays in the folder.
END
while true; do
  wait -n "${silos[@]}" || true
  for n in 0 1 2; do
    kill -0 "${silos[$n]}" 2>/dev/null && continue
    echo "Silo $n has ended (see its log) and is started again." >&2
    sleep 1
    start $n
  done
done
