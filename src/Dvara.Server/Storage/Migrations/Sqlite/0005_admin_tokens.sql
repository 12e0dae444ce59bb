-- hash is SHA-256 of the token, which is stored nowhere. scopes is a space-separated list, empty where a role says them.
CREATE TABLE admin_tokens (
    id            BLOB    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    hash          BLOB    NOT NULL UNIQUE,
    role          TEXT,
    scopes        TEXT    NOT NULL,
    tenant_id     BLOB,
    bootstrap     INTEGER NOT NULL,
    expires_at_ms INTEGER,
    last_used_ms  INTEGER,
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX admin_tokens_by_tenant ON admin_tokens (tenant_id, id);
-- One bootstrap token, whoever starts first.
CREATE UNIQUE INDEX admin_tokens_bootstrap ON admin_tokens (bootstrap) WHERE bootstrap = 1;
