#!/usr/bin/env bash
# The whole job as curl commands, with the clock in April and then in May 2026: tenant, key, calls, costs, chargeback, audit.
#   tests/seed.sh [output folder]      every answer is kept there (default: a new temporary folder, named at the end)
# Needs a Release build. Leaves no process behind.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-$(mktemp -d)}
mkdir -p "$out"
data=$(mktemp -d)
base=
token=seed-admin-token-0123456789
server=

stop() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; fi
  server=
}
trap 'stop; rm -rf "$data"' EXIT

# start <instant>: the node as it would run at that time, on a free port that it names when it is ready
start() {
  local log="$out/server-${1%%T*}.log"
  : >"$log"
  ASPNETCORE_URLS=http://127.0.0.1:0 DVARA_DATA_DIR=$data DVARA_ADMIN_TOKEN=$token DVARA_SILO_PORT=0 DVARA_ACCEPT_LOSS=1 DVARA_CLOCK_START=$1 \
    dotnet src/Dvara.Server/bin/Release/net10.0/*/Dvara.Server.dll >"$log" 2>&1 &
  server=$!
  for _ in $(seq 1 300); do
    base=$(sed -nE 's,^ *Gateway +(http:[^ ]+)/v1 .*,\1,p' "$log")
    [ -n "$base" ] && curl -fs "$base/readyz" >/dev/null 2>&1 && return
    kill -0 "$server" 2>/dev/null || { cat "$log"; exit 1; }
    read -rt 0.1 <> <(:) || true
  done
  echo "the server did not become ready" >&2
  exit 1
}

# admin <file> <path> [curl arguments]: an admin call, its answer kept
admin() { curl -fsS --output "$out/$1" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' "$base/v1/admin/$2" "${@:3}"; }
# call <file> <path> <body>: what an application sends
call() { curl -fsS --output "$out/$1" --dump-header "$out/$1.headers" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$base/v1/$2" -d "$3"; }
# field <name> <file>: the first string of that name
field() { sed -nE "s/.*\"$1\":\"([^\"]*)\".*/\1/p" "$out/$2" | head -n 1; }

start 2026-04-15T10:00:00Z
admin tenant.json tenants -d '{"name":"Acme Ltd","region":"eu","tags":{"plan":"gold"}}'
tenant=$(sed -nE 's/.*"id":"([0-9a-f-]{36})".*/\1/p' "$out/tenant.json")
admin key.json "tenants/$tenant/keys" -d '{"name":"checkout","tags":{"service":"checkout"}}'
key=$(field key key.json)

# 1,000 input and 500 output tokens of mock/gpt-4o, tagged in the body.
call whole.json chat/completions '{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}],"metadata":{"tags":{"Project":"apollo"},"mock":{"prompt_tokens":"1000","completion_tokens":"500"}}}'
# The same twice as large, streamed.
call stream.txt chat/completions '{"model":"mock/gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}],"metadata":{"tags":{"Project":"zeus"},"mock":{"prompt_tokens":"2000","completion_tokens":"1000"}}}'
# Another model, no project.
call mini.json chat/completions '{"model":"mock/gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"metadata":{"mock":{"prompt_tokens":"7","completion_tokens":"3"}}}'
call embedding.json embeddings '{"model":"mock/text-embedding-3-small","input":"Hello world","metadata":{"tags":{"Project":"apollo"},"mock":{"prompt_tokens":"11"}}}'

april='from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:59Z'
admin prices.json "pricing?provider=mock&limit=200"
admin costs.json "costs?tenantId=$tenant&$april"
admin summary.json "costs/summary?tenantId=$tenant&$april&groupBy=provider,model"
admin by-tag.json "costs/summary/by-tag?tenantId=$tenant&key=Project&$april"
admin provisional.json chargeback -d "{\"tenant_id\":\"$tenant\",\"period\":\"2026-04\"}"
stop

# The month is over: the same command now closes it.
start 2026-05-02T08:00:00Z
call may.json chat/completions '{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}],"metadata":{"mock":{"prompt_tokens":"1","completion_tokens":"1"}}}'
admin statement.json chargeback -d "{\"tenant_id\":\"$tenant\",\"period\":\"2026-04\"}"
statement=$(sed -nE 's/^\{"id":"([0-9a-f-]{36})".*/\1/p' "$out/statement.json")
admin statement.pdf "chargeback/$statement/pdf"
admin statement.csv "chargeback/$statement/csv"
admin again.json chargeback -d "{\"tenant_id\":\"$tenant\",\"period\":\"2026-04\"}"
admin audit.json "audit/events?tenantId=$tenant&from=2026-04-01T00:00:00Z&to=2026-06-01T00:00:00Z"
stop
echo "$out"
