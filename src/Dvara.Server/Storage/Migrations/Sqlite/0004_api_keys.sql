-- hash is SHA-256 of the key, which is stored nowhere. status is what was done to the key: whether an ACTIVE one has expired is read off
-- the clock; EXPIRED stands here only once an expired key had to give its name to a new one. Rows are never deleted: the ledger names them.
CREATE TABLE api_keys (
    id            BLOB    NOT NULL PRIMARY KEY,
    tenant_id     BLOB    NOT NULL REFERENCES tenants (id),
    name          TEXT    NOT NULL,
    hash          BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix        TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('ACTIVE', 'REVOKED', 'ROTATED', 'EXPIRED')),
    hidden        INTEGER NOT NULL,
    scopes        TEXT    NOT NULL,
    models        TEXT    NOT NULL,
    tags          TEXT    NOT NULL,
    expires_at_ms INTEGER,
    last_used_ms  INTEGER,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, id);
CREATE UNIQUE INDEX api_keys_active_names ON api_keys (tenant_id, name) WHERE status = 'ACTIVE';
