-- One row per Idempotency-Key and admin token, for 24 hours. A claim without status is running, or was interrupted: process says whose
-- it is (null: nobody's any more), effect says whether the call's own transaction has been committed.
CREATE TABLE idempotency_keys (
    actor       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    process     BLOB,
    effect      INTEGER NOT NULL DEFAULT 0,
    status      INTEGER,
    headers     TEXT,
    answer      BLOB,
    claimed_ms  INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (claimed_ms);
