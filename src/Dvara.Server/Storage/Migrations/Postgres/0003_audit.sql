CREATE TABLE audit_events (
    id         uuid   PRIMARY KEY,
    at_ms      bigint NOT NULL,
    type       text   NOT NULL,
    tenant_id  uuid,
    actor      text   NOT NULL,
    request_id text,
    payload    text   NOT NULL
);

CREATE INDEX audit_events_by_tenant ON audit_events (tenant_id, id);
CREATE INDEX audit_events_by_type ON audit_events (type, id);

CREATE TRIGGER audit_events_are_append_only BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('audit events are append-only');
