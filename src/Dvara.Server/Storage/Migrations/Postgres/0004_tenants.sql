-- Rows are never deleted: statements and the ledger name tenants for ever. metadata and tags are JSON objects of strings.
CREATE TABLE tenants (
    id            uuid   PRIMARY KEY,
    name          text   NOT NULL,
    status        text   NOT NULL CHECK (status IN ('ACTIVE', 'SUSPENDED', 'CLOSED')),
    region        text,
    metadata      text   NOT NULL,
    tags          text   NOT NULL,
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL
);

CREATE TRIGGER tenants_closed_stay_closed BEFORE UPDATE ON tenants
    FOR EACH ROW WHEN (OLD.status = 'CLOSED' AND NEW.status <> 'CLOSED') EXECUTE FUNCTION refuse_change('a closed tenant stays closed');

CREATE TRIGGER tenants_are_kept BEFORE DELETE ON tenants
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a tenant is closed, never deleted');
