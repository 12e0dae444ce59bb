-- Rows are never deleted: statements and the ledger name tenants for ever. metadata and tags are JSON objects of strings.
CREATE TABLE tenants (
    id            BLOB    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('ACTIVE', 'SUSPENDED', 'CLOSED')),
    region        TEXT,
    metadata      TEXT    NOT NULL,
    tags          TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;

CREATE TRIGGER tenants_closed_stay_closed BEFORE UPDATE ON tenants WHEN OLD.status = 'CLOSED' AND NEW.status <> 'CLOSED'
BEGIN SELECT RAISE(ABORT, 'a closed tenant stays closed'); END;

CREATE TRIGGER tenants_are_kept BEFORE DELETE ON tenants
BEGIN SELECT RAISE(ABORT, 'a tenant is closed, never deleted'); END;
