-- The number of each closed month's statement, given in the transaction that closes it: no gap, no second use.
CREATE TABLE statement_numbers (
    billing_month INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,
    tenant_id     BLOB    NOT NULL,
    PRIMARY KEY (billing_month, ordinal),
    UNIQUE (tenant_id, billing_month)
) STRICT, WITHOUT ROWID;

-- resource is the API's representation, byte for byte. billing_month stands where the statement closes a month.
CREATE TABLE statements (
    id            BLOB    NOT NULL PRIMARY KEY,
    tenant_id     BLOB    NOT NULL,
    status        TEXT    NOT NULL,
    number        TEXT,
    billing_month INTEGER,
    from_ms       INTEGER NOT NULL,
    to_ms         INTEGER NOT NULL,
    created_ms    INTEGER NOT NULL,
    resource      BLOB    NOT NULL
) STRICT;

-- Two processes may make the same statement; one of them stores it.
CREATE UNIQUE INDEX statements_one_final ON statements (tenant_id, billing_month) WHERE status = 'FINAL';
CREATE UNIQUE INDEX statements_one_number ON statements (number) WHERE status = 'FINAL';
CREATE INDEX statements_by_tenant ON statements (tenant_id, id);

-- The bytes that every download answers.
CREATE TABLE statement_documents (
    statement_id BLOB NOT NULL REFERENCES statements (id),
    format       TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    bytes        BLOB NOT NULL,
    PRIMARY KEY (statement_id, format)
) STRICT;

CREATE TRIGGER statements_never_change BEFORE UPDATE ON statements
BEGIN SELECT RAISE(ABORT, 'a statement never changes'); END;

CREATE TRIGGER statements_stay BEFORE DELETE ON statements
BEGIN SELECT RAISE(ABORT, 'a statement never changes'); END;

CREATE TRIGGER statement_documents_never_change BEFORE UPDATE ON statement_documents
BEGIN SELECT RAISE(ABORT, 'a statement never changes'); END;

CREATE TRIGGER statement_documents_stay BEFORE DELETE ON statement_documents
BEGIN SELECT RAISE(ABORT, 'a statement never changes'); END;

CREATE TRIGGER statement_numbers_never_change BEFORE UPDATE ON statement_numbers
BEGIN SELECT RAISE(ABORT, 'a statement number never changes'); END;

CREATE TRIGGER statement_numbers_stay BEFORE DELETE ON statement_numbers
BEGIN SELECT RAISE(ABORT, 'a statement number never changes'); END;

CREATE TRIGGER closed_months_never_change BEFORE UPDATE ON closed_months
BEGIN SELECT RAISE(ABORT, 'a closed month stays closed'); END;

CREATE TRIGGER closed_months_stay BEFORE DELETE ON closed_months
BEGIN SELECT RAISE(ABORT, 'a closed month stays closed'); END;
