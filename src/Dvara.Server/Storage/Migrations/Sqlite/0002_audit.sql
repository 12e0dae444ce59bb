CREATE TABLE audit_events (
    id         BLOB    NOT NULL PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    type       TEXT    NOT NULL,
    tenant_id  BLOB,
    actor      TEXT    NOT NULL,
    request_id TEXT,
    payload    TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_events_by_tenant ON audit_events (tenant_id, id);
CREATE INDEX audit_events_by_type ON audit_events (type, id);

CREATE TRIGGER audit_events_are_append_only_update BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;

CREATE TRIGGER audit_events_are_append_only_delete BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
