-- hash is SHA-256 of the key, which is stored nowhere. status is what was done to the key: whether an ACTIVE one has expired is read off
-- the clock; EXPIRED stands here only once an expired key had to give its name to a new one. Rows are never deleted: the ledger names them.
CREATE TABLE api_keys (
    id            uuid    PRIMARY KEY,
    tenant_id     uuid    NOT NULL REFERENCES tenants (id),
    name          text    NOT NULL,
    hash          bytea   NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix        text    NOT NULL,
    status        text    NOT NULL CHECK (status IN ('ACTIVE', 'REVOKED', 'ROTATED', 'EXPIRED')),
    hidden        boolean NOT NULL,
    scopes        text    NOT NULL,
    models        text    NOT NULL,
    tags          text    NOT NULL,
    expires_at_ms bigint,
    last_used_ms  bigint,
    created_at_ms bigint  NOT NULL,
    updated_at_ms bigint  NOT NULL
);

CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, id);
CREATE UNIQUE INDEX api_keys_active_names ON api_keys (tenant_id, name) WHERE status = 'ACTIVE';
