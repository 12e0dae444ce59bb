-- One row per Idempotency-Key and admin token, for 24 hours. A claim without status is running, or was interrupted: process says whose
-- it is (null: nobody's any more), effect says whether the call's own transaction has been committed.
CREATE TABLE idempotency_keys (
    actor       text   NOT NULL,
    key         text   NOT NULL,
    fingerprint bytea  NOT NULL,
    process     bytea,
    effect      bigint NOT NULL DEFAULT 0,
    status      bigint,
    headers     text,
    answer      bytea,
    claimed_ms  bigint NOT NULL,
    PRIMARY KEY (actor, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (claimed_ms);
