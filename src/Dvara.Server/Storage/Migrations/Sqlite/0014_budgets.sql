-- Caps, which the API calls budgets. Deleted ones stay: events and statements name them.
CREATE TABLE caps (
    id                       BLOB     NOT NULL PRIMARY KEY,
    tenant_id                BLOB,
    api_key_id               BLOB,
    tag_key                  TEXT,
    tag_value                TEXT,
    model                    TEXT,
    name                     TEXT    NOT NULL,
    period                   TEXT    NOT NULL,
    time_zone                TEXT    NOT NULL,
    limit_pico_usd           INTEGER NOT NULL CHECK (limit_pico_usd >= 0),
    soft_limit_pct           INTEGER CHECK (soft_limit_pct BETWEEN 1 AND 100),
    enabled                  INTEGER NOT NULL,
    mode                     TEXT    NOT NULL,
    on_shortfall             TEXT    NOT NULL,
    assumed_max_output_tokens INTEGER NOT NULL,
    hold_wait_ms             INTEGER NOT NULL,
    provenance               TEXT    NOT NULL,
    created_at_ms            INTEGER NOT NULL,
    updated_at_ms            INTEGER NOT NULL,
    deleted_at_ms            INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX caps_by_tenant ON caps (tenant_id, id);

-- Rises with every change of a cap: a ledger batch sees by it whether the caps it knows are the ones in force.
CREATE TABLE cap_generation (value INTEGER NOT NULL) STRICT;
INSERT INTO cap_generation (value) VALUES (1);

-- A period of a cap: its bounds, computed once, and what had been spent in it before the cap was there. Whoever grants locks this row.
-- short_ms: when somebody last needed what others held. An arm rises when a changed limit puts the spend below its threshold again.
CREATE TABLE cap_periods (
    cap_id            BLOB    NOT NULL,
    start_ms          INTEGER NOT NULL,
    end_ms            INTEGER NOT NULL,
    baseline_pico_usd INTEGER NOT NULL DEFAULT 0,
    baseline_requests INTEGER NOT NULL DEFAULT 0,
    short_ms          INTEGER NOT NULL DEFAULT 0,
    soft_arm          INTEGER NOT NULL DEFAULT 0,
    hard_arm          INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (cap_id, start_ms)
) STRICT, WITHOUT ROWID;

-- What is granted to one journal, and what the ledger has charged to it. asked: number of the last ask that was answered. Of settled:
-- above_bound exceeded its hold, late had none, corrected came as revisions. beyond: what running attempts can cost above their holds.
CREATE TABLE leases (
    cap_id               BLOB    NOT NULL,
    start_ms             INTEGER NOT NULL,
    journal_id           BLOB    NOT NULL,
    granted_pico_usd     INTEGER NOT NULL DEFAULT 0,
    asked                INTEGER NOT NULL DEFAULT 0,
    settled_pico_usd     INTEGER NOT NULL DEFAULT 0,
    above_bound_pico_usd INTEGER NOT NULL DEFAULT 0,
    late_pico_usd        INTEGER NOT NULL DEFAULT 0,
    corrected_pico_usd   INTEGER NOT NULL DEFAULT 0,
    beyond_pico_usd      INTEGER NOT NULL DEFAULT 0,
    requests             INTEGER NOT NULL DEFAULT 0,
    refused              INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (cap_id, start_ms, journal_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_by_journal ON leases (journal_id, start_ms);

-- Holds of attempts that may still be billed: the outcome is unknown, or no price is. They stay until a revision says what became of it.
CREATE TABLE exposures (
    attempt_id      BLOB    NOT NULL,
    cap_id          BLOB    NOT NULL,
    start_ms        INTEGER NOT NULL,
    journal_id      BLOB    NOT NULL,
    amount_pico_usd INTEGER NOT NULL,
    PRIMARY KEY (attempt_id, cap_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX exposures_by_cap ON exposures (cap_id, start_ms, journal_id);

-- SOFT and HARD, once per cap, period, threshold and arm.
CREATE TABLE cap_events (
    cap_id    BLOB    NOT NULL,
    start_ms  INTEGER NOT NULL,
    threshold TEXT    NOT NULL,
    arm       INTEGER NOT NULL,
    event_id  BLOB    NOT NULL,
    PRIMARY KEY (cap_id, start_ms, threshold, arm)
) STRICT, WITHOUT ROWID;

-- Events for others, written in the transaction of what they tell and delivered later; the id is the audit event's.
CREATE TABLE outbox (
    id         BLOB     NOT NULL PRIMARY KEY,
    type       TEXT    NOT NULL,
    tenant_id  BLOB,
    payload    TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
