#!/usr/bin/env bash
# Run by the PostgreSQL image after roles.sql, once.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_PASSWORD" -U postgres -d "$POSTGRES_DB" <<'END'
ALTER ROLE dvara_migrator PASSWORD :'password';
ALTER ROLE dvara_app PASSWORD :'password';
END
