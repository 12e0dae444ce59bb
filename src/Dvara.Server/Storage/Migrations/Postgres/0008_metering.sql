-- A journal file and how far it has been shipped. digest chains over the batches: each covers its rows and the one before it.
-- seen_ms: when its silo last said that it has it open.
CREATE TABLE journals (
    id              uuid   PRIMARY KEY,
    silo            text   NOT NULL,
    epoch           bigint NOT NULL,
    state           text   NOT NULL,
    low_water       bigint NOT NULL DEFAULT 0,
    shipped_through bigint NOT NULL DEFAULT 0,
    digest          bytea,
    opened_ms       bigint NOT NULL,
    seen_ms         bigint NOT NULL DEFAULT 0
);

CREATE TABLE journal_batches (
    journal_id uuid   NOT NULL,
    first_seq  bigint NOT NULL,
    last_seq   bigint NOT NULL,
    charges    bigint NOT NULL,
    digest     bytea  NOT NULL,
    shipped_ms bigint NOT NULL,
    PRIMARY KEY (journal_id, first_seq)
);

-- One row per attempt and revision, in partitions by the month that the attempt's id begins with. No check that a true fact could
-- violate. A correction's numbers are signed deltas, its counts too, so that every sum of the ledger, rollups included, is a plain sum
-- over rows.
CREATE TABLE charges (
    attempt_id           uuid             NOT NULL,
    revision             bigint           NOT NULL,
    kind                 text             NOT NULL,
    state                text             NOT NULL,
    request_id           uuid             NOT NULL,
    attempt              bigint           NOT NULL,
    tenant_id            uuid             NOT NULL,
    api_key_id           uuid             NOT NULL,
    provider             text COLLATE "C" NOT NULL,
    model                text COLLATE "C" NOT NULL,
    requested_model      text             NOT NULL,
    endpoint             text             NOT NULL,
    stream               bigint           NOT NULL,
    uncached_input       bigint,
    cache_read           bigint,
    cache_write          bigint,
    output               bigint,
    reasoning            bigint,
    estimated            bigint           NOT NULL,
    input_cost_pico_usd  bigint           NOT NULL,
    output_cost_pico_usd bigint           NOT NULL,
    lower_bound_pico_usd bigint           NOT NULL,
    requests             bigint           NOT NULL DEFAULT 0,
    estimated_requests   bigint           NOT NULL DEFAULT 0,
    unpriced_requests    bigint           NOT NULL DEFAULT 0,
    unresolved_requests  bigint           NOT NULL DEFAULT 0,
    failed_attempts      bigint           NOT NULL DEFAULT 0,
    price_id             uuid,
    tags                 text             NOT NULL,
    end_user             text,
    at_ms                bigint           NOT NULL,
    billing_month        bigint           NOT NULL,
    latency_ms           bigint           NOT NULL,
    status               bigint,
    outcome              text,
    provider_request_id  text,
    idempotency_key      text,
    journal_id           uuid             NOT NULL,
    journal_seq          bigint           NOT NULL,
    PRIMARY KEY (attempt_id, revision)
) PARTITION BY RANGE (attempt_id);

CREATE INDEX charges_by_tenant ON charges (tenant_id, attempt_id);
CREATE INDEX charges_by_request ON charges (request_id);
CREATE INDEX charges_by_month ON charges (billing_month, tenant_id, attempt_id);
-- Usage without a price is looked for by model; it is rare, so the index stays small and other charges do not pay for it.
CREATE INDEX charges_unpriced ON charges (at_ms) WHERE state = 'UNPRICED';

CREATE TRIGGER charges_are_append_only BEFORE UPDATE OR DELETE ON charges
    FOR EACH ROW EXECUTE FUNCTION refuse_change('the ledger is append-only');

-- Whatever fits no month: a charge is never refused for its time. It should be empty; the log says when it is not.
CREATE TABLE charges_beyond PARTITION OF charges DEFAULT;

-- The smallest UUIDv7 of an instant: its milliseconds, then zeros.
CREATE FUNCTION first_id_at(instant timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT rpad(lpad(to_hex((extract(epoch FROM instant) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;

-- Makes the monthly partitions from the newest there is to so many months ahead. A partition is made apart and attached, because making
-- it in place would lock the whole table. Owned by the migrator, called by the application, which has no right to make tables.
CREATE FUNCTION make_charge_partitions(since timestamptz, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    month timestamptz := date_trunc('month', since, 'UTC');
    made integer := 0;
    partition text;
BEGIN
    WHILE month <= date_trunc('month', now(), 'UTC') + make_interval(months => months_ahead) LOOP
        partition := 'charges_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(partition) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE charges INCLUDING DEFAULTS)', partition);
            EXECUTE format(
                'ALTER TABLE charges ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                partition, first_id_at(month), first_id_at(((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
            made := made + 1;
        END IF;
        month := ((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    END LOOP;
    RETURN made;
END $$;

SELECT make_charge_partitions('2026-01-01Z', 24);

-- Sums by hour (kept) and by minute (last 48 hours). journal_id is the writer's shard: no writer touches another's row.
CREATE TABLE rollup_hours (
    start_ms                        bigint           NOT NULL,
    tenant_id                       uuid             NOT NULL,
    api_key_id                      uuid             NOT NULL,
    provider                        text COLLATE "C" NOT NULL,
    model                           text COLLATE "C" NOT NULL,
    journal_id                      uuid             NOT NULL,
    requests                        bigint           NOT NULL,
    uncached_input                  bigint           NOT NULL,
    cache_read                      bigint           NOT NULL,
    cache_write                     bigint           NOT NULL,
    output                          bigint           NOT NULL,
    reasoning                       bigint           NOT NULL,
    input_cost_pico_usd             bigint           NOT NULL,
    output_cost_pico_usd            bigint           NOT NULL,
    estimated_requests              bigint           NOT NULL,
    unpriced_requests               bigint           NOT NULL,
    unresolved_requests             bigint           NOT NULL,
    unresolved_lower_bound_pico_usd bigint           NOT NULL,
    failed_attempts                 bigint           NOT NULL,
    PRIMARY KEY (tenant_id, start_ms, api_key_id, provider, model, journal_id)
);

CREATE INDEX rollup_hours_by_time ON rollup_hours (start_ms);

CREATE TABLE rollup_minutes (LIKE rollup_hours INCLUDING ALL);

-- Sums by hour and tag, for tag keys of few values. tag_key is lower case: tag keys match case-insensitively.
CREATE TABLE rollup_tag_hours (
    LIKE rollup_hours,
    tag_key   text COLLATE "C" NOT NULL,
    tag_value text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, tag_key, start_ms, api_key_id, provider, model, tag_value, journal_id)
);

-- Which values a tag key had on a day, up to the guard's limit; a row of high_cardinality_tags says "beyond it": that day's tag
-- rollups are incomplete for the key, read rows instead.
CREATE TABLE tag_values (
    tenant_id  uuid             NOT NULL,
    day_ms     bigint           NOT NULL,
    tag_key    text COLLATE "C" NOT NULL,
    tag_value  text COLLATE "C" NOT NULL,
    journal_id uuid             NOT NULL,
    PRIMARY KEY (tenant_id, tag_key, day_ms, journal_id, tag_value)
);

CREATE INDEX tag_values_by_day ON tag_values (day_ms);

CREATE TABLE high_cardinality_tags (
    tenant_id  uuid             NOT NULL,
    day_ms     bigint           NOT NULL,
    tag_key    text COLLATE "C" NOT NULL,
    journal_id uuid             NOT NULL,
    PRIMARY KEY (tenant_id, tag_key, day_ms, journal_id)
);

-- Months whose statement is final. A charge that comes later is billed in the month that is open when it comes.
CREATE TABLE closed_months (
    tenant_id     uuid   NOT NULL,
    billing_month bigint NOT NULL,
    closed_ms     bigint NOT NULL,
    PRIMARY KEY (tenant_id, billing_month)
);

-- Every batch asks which months from its oldest on are closed: mostly none.
CREATE INDEX closed_months_by_month ON closed_months (billing_month);

CREATE TRIGGER closed_months_stay BEFORE UPDATE OR DELETE ON closed_months
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a closed month stays closed');

-- Charges that the engine refused: kept whole, alarmed, never silently dropped.
CREATE TABLE quarantined_charges (
    journal_id     uuid   NOT NULL,
    journal_seq    bigint NOT NULL,
    payload        bytea  NOT NULL,
    reason         text   NOT NULL,
    quarantined_ms bigint NOT NULL,
    PRIMARY KEY (journal_id, journal_seq)
);
