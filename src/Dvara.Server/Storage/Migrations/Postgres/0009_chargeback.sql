-- The number of each closed month's statement, given in the transaction that closes it: no gap, no second use.
CREATE TABLE statement_numbers (
    billing_month bigint NOT NULL,
    ordinal       bigint NOT NULL,
    tenant_id     uuid   NOT NULL,
    PRIMARY KEY (billing_month, ordinal),
    UNIQUE (tenant_id, billing_month)
);

-- resource is the API's representation, byte for byte. billing_month stands where the statement closes a month.
CREATE TABLE statements (
    id            uuid   PRIMARY KEY,
    tenant_id     uuid   NOT NULL,
    status        text   NOT NULL,
    number        text,
    billing_month bigint,
    from_ms       bigint NOT NULL,
    to_ms         bigint NOT NULL,
    created_ms    bigint NOT NULL,
    resource      bytea  NOT NULL
);

-- Two processes may make the same statement; one of them stores it.
CREATE UNIQUE INDEX statements_one_final ON statements (tenant_id, billing_month) WHERE status = 'FINAL';
CREATE UNIQUE INDEX statements_one_number ON statements (number) WHERE status = 'FINAL';
CREATE INDEX statements_by_tenant ON statements (tenant_id, id);

-- The bytes that every download answers.
CREATE TABLE statement_documents (
    statement_id uuid  NOT NULL REFERENCES statements (id),
    format       text  NOT NULL,
    sha256       text  NOT NULL,
    bytes        bytea NOT NULL,
    PRIMARY KEY (statement_id, format)
);

CREATE TRIGGER statements_never_change BEFORE UPDATE OR DELETE ON statements
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a statement never changes');

CREATE TRIGGER statement_documents_never_change BEFORE UPDATE OR DELETE ON statement_documents
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a statement never changes');

CREATE TRIGGER statement_numbers_never_change BEFORE UPDATE OR DELETE ON statement_numbers
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a statement number never changes');
