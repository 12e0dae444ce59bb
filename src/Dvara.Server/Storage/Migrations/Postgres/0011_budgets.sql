-- Caps, which the API calls budgets. Deleted ones stay: events and statements name them.
CREATE TABLE caps (
    id                       uuid   PRIMARY KEY,
    tenant_id                uuid,
    api_key_id               uuid,
    tag_key                  text,
    tag_value                text,
    model                    text,
    name                     text   NOT NULL,
    period                   text   NOT NULL,
    time_zone                text   NOT NULL,
    limit_pico_usd           bigint NOT NULL CHECK (limit_pico_usd >= 0),
    soft_limit_pct           bigint CHECK (soft_limit_pct BETWEEN 1 AND 100),
    enabled                  bigint NOT NULL,
    mode                     text   NOT NULL,
    on_shortfall             text   NOT NULL,
    assumed_max_output_tokens bigint NOT NULL,
    hold_wait_ms             bigint NOT NULL,
    provenance               text   NOT NULL,
    created_at_ms            bigint NOT NULL,
    updated_at_ms            bigint NOT NULL,
    deleted_at_ms            bigint
);

CREATE INDEX caps_by_tenant ON caps (tenant_id, id);

-- Rises with every change of a cap: a ledger batch sees by it whether the caps it knows are the ones in force.
CREATE TABLE cap_generation (value bigint NOT NULL);
INSERT INTO cap_generation (value) VALUES (1);

-- A period of a cap: its bounds, computed once, and what had been spent in it before the cap was there. Whoever grants locks this row.
-- short_ms: when somebody last needed what others held. An arm rises when a changed limit puts the spend below its threshold again.
CREATE TABLE cap_periods (
    cap_id            uuid   NOT NULL,
    start_ms          bigint NOT NULL,
    end_ms            bigint NOT NULL,
    baseline_pico_usd bigint NOT NULL DEFAULT 0,
    baseline_requests bigint NOT NULL DEFAULT 0,
    short_ms          bigint NOT NULL DEFAULT 0,
    soft_arm          bigint NOT NULL DEFAULT 0,
    hard_arm          bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (cap_id, start_ms)
);

-- What is granted to one journal, and what the ledger has charged to it. asked: number of the last ask that was answered. Of settled:
-- above_bound exceeded its hold, late had none, corrected came as revisions. beyond: what running attempts can cost above their holds.
CREATE TABLE leases (
    cap_id               uuid   NOT NULL,
    start_ms             bigint NOT NULL,
    journal_id           uuid   NOT NULL,
    granted_pico_usd     bigint NOT NULL DEFAULT 0,
    asked                bigint NOT NULL DEFAULT 0,
    settled_pico_usd     bigint NOT NULL DEFAULT 0,
    above_bound_pico_usd bigint NOT NULL DEFAULT 0,
    late_pico_usd        bigint NOT NULL DEFAULT 0,
    corrected_pico_usd   bigint NOT NULL DEFAULT 0,
    beyond_pico_usd      bigint NOT NULL DEFAULT 0,
    requests             bigint NOT NULL DEFAULT 0,
    refused              bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (cap_id, start_ms, journal_id)
);

CREATE INDEX leases_by_journal ON leases (journal_id, start_ms);

-- Holds of attempts that may still be billed: the outcome is unknown, or no price is. They stay until a revision says what became of it.
CREATE TABLE exposures (
    attempt_id      uuid   NOT NULL,
    cap_id          uuid   NOT NULL,
    start_ms        bigint NOT NULL,
    journal_id      uuid   NOT NULL,
    amount_pico_usd bigint NOT NULL,
    PRIMARY KEY (attempt_id, cap_id)
);

CREATE INDEX exposures_by_cap ON exposures (cap_id, start_ms, journal_id);

-- SOFT and HARD, once per cap, period, threshold and arm.
CREATE TABLE cap_events (
    cap_id    uuid   NOT NULL,
    start_ms  bigint NOT NULL,
    threshold text   NOT NULL,
    arm       bigint NOT NULL,
    event_id  uuid   NOT NULL,
    PRIMARY KEY (cap_id, start_ms, threshold, arm)
);

-- Events for others, written in the transaction of what they tell and delivered later; the id is the audit event's.
CREATE TABLE outbox (
    id         uuid   PRIMARY KEY,
    type       text   NOT NULL,
    tenant_id  uuid,
    payload    text   NOT NULL,
    created_ms bigint NOT NULL
);
