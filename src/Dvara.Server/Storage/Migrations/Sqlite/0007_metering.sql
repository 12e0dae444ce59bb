-- A journal file and how far it has been shipped. digest chains over the batches: each covers its rows and the one before it.
CREATE TABLE journals (
    id              BLOB    NOT NULL PRIMARY KEY,
    silo            TEXT    NOT NULL,
    epoch           INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    low_water       INTEGER NOT NULL DEFAULT 0,
    shipped_through INTEGER NOT NULL DEFAULT 0,
    digest          BLOB,
    opened_ms       INTEGER NOT NULL
) STRICT;

CREATE TABLE journal_batches (
    journal_id BLOB    NOT NULL,
    first_seq  INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    charges    INTEGER NOT NULL,
    digest     BLOB    NOT NULL,
    shipped_ms INTEGER NOT NULL,
    PRIMARY KEY (journal_id, first_seq)
) STRICT, WITHOUT ROWID;

-- One row per attempt and revision. No check that a true fact could violate. A correction's numbers are signed deltas, its counts
-- too, so that every sum of the ledger, rollups included, is a plain sum over rows.
CREATE TABLE charges (
    attempt_id           BLOB    NOT NULL,
    revision             INTEGER NOT NULL,
    kind                 TEXT    NOT NULL,
    state                TEXT    NOT NULL,
    request_id           BLOB    NOT NULL,
    attempt              INTEGER NOT NULL,
    tenant_id            BLOB    NOT NULL,
    api_key_id           BLOB    NOT NULL,
    provider             TEXT    NOT NULL,
    model                TEXT    NOT NULL,
    requested_model      TEXT    NOT NULL,
    endpoint             TEXT    NOT NULL,
    stream               INTEGER NOT NULL,
    uncached_input       INTEGER,
    cache_read           INTEGER,
    cache_write          INTEGER,
    output               INTEGER,
    reasoning            INTEGER,
    estimated            INTEGER NOT NULL,
    input_cost_pico_usd  INTEGER NOT NULL,
    output_cost_pico_usd INTEGER NOT NULL,
    lower_bound_pico_usd INTEGER NOT NULL,
    requests             INTEGER NOT NULL DEFAULT 0,
    estimated_requests   INTEGER NOT NULL DEFAULT 0,
    unpriced_requests    INTEGER NOT NULL DEFAULT 0,
    unresolved_requests  INTEGER NOT NULL DEFAULT 0,
    failed_attempts      INTEGER NOT NULL DEFAULT 0,
    price_id             BLOB,
    tags                 TEXT    NOT NULL,
    end_user             TEXT,
    at_ms                INTEGER NOT NULL,
    billing_month        INTEGER NOT NULL,
    latency_ms           INTEGER NOT NULL,
    status               INTEGER,
    outcome              TEXT,
    provider_request_id  TEXT,
    idempotency_key      TEXT,
    journal_id           BLOB    NOT NULL,
    journal_seq          INTEGER NOT NULL,
    PRIMARY KEY (attempt_id, revision)
) STRICT, WITHOUT ROWID;

CREATE INDEX charges_by_tenant ON charges (tenant_id, attempt_id);
CREATE INDEX charges_by_request ON charges (request_id);
CREATE INDEX charges_by_month ON charges (billing_month, tenant_id, attempt_id);

CREATE TRIGGER charges_are_append_only_update BEFORE UPDATE ON charges
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER charges_are_append_only_delete BEFORE DELETE ON charges
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Sums by hour (kept) and by minute (last 48 hours). journal_id is the writer's shard: no writer touches another's row.
CREATE TABLE rollup_hours (
    start_ms                        INTEGER NOT NULL,
    tenant_id                       BLOB    NOT NULL,
    api_key_id                      BLOB    NOT NULL,
    provider                        TEXT    NOT NULL,
    model                           TEXT    NOT NULL,
    journal_id                      BLOB    NOT NULL,
    requests                        INTEGER NOT NULL,
    uncached_input                  INTEGER NOT NULL,
    cache_read                      INTEGER NOT NULL,
    cache_write                     INTEGER NOT NULL,
    output                          INTEGER NOT NULL,
    reasoning                       INTEGER NOT NULL,
    input_cost_pico_usd             INTEGER NOT NULL,
    output_cost_pico_usd            INTEGER NOT NULL,
    estimated_requests              INTEGER NOT NULL,
    unpriced_requests               INTEGER NOT NULL,
    unresolved_requests             INTEGER NOT NULL,
    unresolved_lower_bound_pico_usd INTEGER NOT NULL,
    failed_attempts                 INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, start_ms, api_key_id, provider, model, journal_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX rollup_hours_by_time ON rollup_hours (start_ms);

CREATE TABLE rollup_minutes (
    start_ms                        INTEGER NOT NULL,
    tenant_id                       BLOB    NOT NULL,
    api_key_id                      BLOB    NOT NULL,
    provider                        TEXT    NOT NULL,
    model                           TEXT    NOT NULL,
    journal_id                      BLOB    NOT NULL,
    requests                        INTEGER NOT NULL,
    uncached_input                  INTEGER NOT NULL,
    cache_read                      INTEGER NOT NULL,
    cache_write                     INTEGER NOT NULL,
    output                          INTEGER NOT NULL,
    reasoning                       INTEGER NOT NULL,
    input_cost_pico_usd             INTEGER NOT NULL,
    output_cost_pico_usd            INTEGER NOT NULL,
    estimated_requests              INTEGER NOT NULL,
    unpriced_requests               INTEGER NOT NULL,
    unresolved_requests             INTEGER NOT NULL,
    unresolved_lower_bound_pico_usd INTEGER NOT NULL,
    failed_attempts                 INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, start_ms, api_key_id, provider, model, journal_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX rollup_minutes_by_time ON rollup_minutes (start_ms);

-- Sums by hour and tag, for tag keys of few values. tag_key is lower case: tag keys match case-insensitively.
CREATE TABLE rollup_tag_hours (
    start_ms                        INTEGER NOT NULL,
    tenant_id                       BLOB    NOT NULL,
    api_key_id                      BLOB    NOT NULL,
    provider                        TEXT    NOT NULL,
    model                           TEXT    NOT NULL,
    tag_key                         TEXT    NOT NULL,
    tag_value                       TEXT    NOT NULL,
    journal_id                      BLOB    NOT NULL,
    requests                        INTEGER NOT NULL,
    uncached_input                  INTEGER NOT NULL,
    cache_read                      INTEGER NOT NULL,
    cache_write                     INTEGER NOT NULL,
    output                          INTEGER NOT NULL,
    reasoning                       INTEGER NOT NULL,
    input_cost_pico_usd             INTEGER NOT NULL,
    output_cost_pico_usd            INTEGER NOT NULL,
    estimated_requests              INTEGER NOT NULL,
    unpriced_requests               INTEGER NOT NULL,
    unresolved_requests             INTEGER NOT NULL,
    unresolved_lower_bound_pico_usd INTEGER NOT NULL,
    failed_attempts                 INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, tag_key, start_ms, api_key_id, provider, model, tag_value, journal_id)
) STRICT, WITHOUT ROWID;

-- Which values a tag key had on a day, up to the guard's limit; a row of high_cardinality_tags says "beyond it": that day's tag
-- rollups are incomplete for the key, read rows instead.
CREATE TABLE tag_values (
    tenant_id  BLOB    NOT NULL,
    day_ms     INTEGER NOT NULL,
    tag_key    TEXT    NOT NULL,
    tag_value  TEXT    NOT NULL,
    journal_id BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, tag_key, day_ms, journal_id, tag_value)
) STRICT, WITHOUT ROWID;

CREATE INDEX tag_values_by_day ON tag_values (day_ms);

CREATE TABLE high_cardinality_tags (
    tenant_id  BLOB    NOT NULL,
    day_ms     INTEGER NOT NULL,
    tag_key    TEXT    NOT NULL,
    journal_id BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, tag_key, day_ms, journal_id)
) STRICT, WITHOUT ROWID;

-- Months whose statement is final. A charge that comes later is billed in the month that is open when it comes.
CREATE TABLE closed_months (
    tenant_id     BLOB    NOT NULL,
    billing_month INTEGER NOT NULL,
    closed_ms     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, billing_month)
) STRICT, WITHOUT ROWID;

-- Charges that the engine refused: kept whole, alarmed, never silently dropped.
CREATE TABLE quarantined_charges (
    journal_id     BLOB    NOT NULL,
    journal_seq    INTEGER NOT NULL,
    payload        BLOB    NOT NULL,
    reason         TEXT    NOT NULL,
    quarantined_ms INTEGER NOT NULL,
    PRIMARY KEY (journal_id, journal_seq)
) STRICT, WITHOUT ROWID;
