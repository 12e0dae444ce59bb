-- hash is SHA-256 of the token, which is stored nowhere. scopes is a space-separated list, empty where a role says them.
CREATE TABLE admin_tokens (
    id            uuid    PRIMARY KEY,
    name          text    NOT NULL,
    hash          bytea   NOT NULL UNIQUE,
    role          text,
    scopes        text    NOT NULL,
    tenant_id     uuid,
    bootstrap     boolean NOT NULL,
    expires_at_ms bigint,
    last_used_ms  bigint,
    created_at_ms bigint  NOT NULL
);

CREATE INDEX admin_tokens_by_tenant ON admin_tokens (tenant_id, id);
-- One bootstrap token, whoever starts first.
CREATE UNIQUE INDEX admin_tokens_bootstrap ON admin_tokens (bootstrap) WHERE bootstrap;
