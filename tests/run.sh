#!/usr/bin/env bash
# Everything that CI checks. Prints one line "N passed, N failed" at the end; its exit code is 0 only when nothing failed.
#   tests/run.sh            all of it
#   tests/run.sh unit       one suite: unit, functional, postgres (the tests of stores and routes once more, on PostgreSQL), stress
# Where DVARA_TEST_RESULTS names a folder, each suite's results are written there as XML.
set -uo pipefail
results=${DVARA_TEST_RESULTS:+$(realpath -m "$DVARA_TEST_RESULTS")}
cd "$(dirname "$0")/.."
suites=("${@:-unit functional postgres}")
read -ra suites <<<"${suites[*]}"

# Programs that the tests run. Where one is missing it comes from Debian's packages.
need() {
  command -v "$1" >/dev/null && return
  local root=(); [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq && "${root[@]}" apt-get install -y -qq --no-install-recommends "${2:-$1}" >/dev/null
}
need curl && need jq && need git && need wrk && need node nodejs && need npm || { echo "0 passed, 1 failed"; exit 1; }

# The official JavaScript client, pinned by its lock file.
if [ ! -d tests/clients/node_modules ] || [ tests/clients/package-lock.json -nt tests/clients/node_modules ]; then
  (cd tests/clients && npm ci --no-audit --no-fund --silent) || { echo "0 passed, 1 failed"; exit 1; }
fi

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
dotnet build Dvara.sln -c Release -v quiet || { echo "0 passed, 1 failed"; exit 1; }

# A PostgreSQL server of our own, unless one is given (as a superuser).
if [ -z "${DVARA_TEST_POSTGRES:-}" ]; then
  server=${TMPDIR:-/tmp}/dvara-postgres-$$
  DVARA_TEST_POSTGRES=$(deploy/local-postgres.sh start "$server") || { echo "0 passed, 1 failed"; exit 1; }
  export DVARA_TEST_POSTGRES
  trap 'deploy/local-postgres.sh stop "$server"' EXIT
fi

# What a suite runs: the project, and which part of it.
unit=(Dvara.UnitTests)
functional=(Dvara.FunctionalTests -maxThreads 3)
stress=(Dvara.StressTests -showLiveOutput)
postgres_unit=(Dvara.UnitTests -namespace Dvara.UnitTests.Metering)
# Nodes wait for their database and their timers now and then: three tests at a time use two cores better than two.
postgres_functional=(Dvara.FunctionalTests -maxThreads 3)
for slice in AdminTokens ApiKeys Audit Budgets Chargeback Costs Metering Pricing Tenants; do
  postgres_functional+=(-namespace "Dvara.FunctionalTests.$slice")
done

passed=0 failed=0
failures=$(mktemp) times=$(mktemp)
[ -z "$results" ] || mkdir -p "$results"
for suite in ${suites[*]/#postgres/postgres_unit postgres_functional}; do
  unset -n what
  declare -n what=$suite
  log=$(mktemp) began=$SECONDS
  engine=$([[ $suite == postgres_* ]] && echo postgres)
  DVARA_TEST_ENGINE=$engine dotnet run -c Release --no-build --project "tests/${what[0]}" -- -noLogo -noColor "${what[@]:1}" ${results:+-result-xml "$results/$suite.xml"} 2>&1 |
    tee "$log"
  summary=$(grep -E 'Total: [0-9]+' "$log" | tail -n 1)
  total=$(sed -nE 's/.*Total: ([0-9]+).*/\1/p' <<<"$summary")
  bad=$(sed -nE 's/.*Errors: ([0-9]+), Failed: ([0-9]+).*/\1+\2/p' <<<"$summary")
  skipped=$(sed -nE 's/.*Skipped: ([0-9]+).*/\1/p' <<<"$summary")
  not_run=$(sed -nE 's/.*Not Run: ([0-9]+).*/\1/p' <<<"$summary")
  # A suite that did not come to its summary crashed: that is a failure, whatever it printed before.
  if [ -z "$total" ]; then
    total=1 bad=1 skipped=0 not_run=0
    { echo "$suite crashed:"; tail -n 30 "$log" | cut -c 1-300; } >>"$failures"
  fi
  # Said once more at the end, where it is not lost among what the nodes under test log.
  grep -A 12 -E '\[FAIL\]|\[SKIP\]' "$log" | cut -c 1-300 >>"$failures"
  # A missing prerequisite must not pass as green here.
  bad=$((bad + skipped))
  # What is not run is no test (Cluster/DoomedSilo).
  good=$((total - not_run - bad))
  failed=$((failed + bad)) passed=$((passed + good))
  echo "$suite: $good passed, $bad failed in $((SECONDS - began)) s" >>"$times"
  rm -f "$log"
done

cat "$failures" "$times"
rm -f "$failures" "$times"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
