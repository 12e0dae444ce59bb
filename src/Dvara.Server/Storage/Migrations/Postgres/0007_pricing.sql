-- One row per version of a price. Rates are pico-dollars per token. A version that has rated is never altered: what follows it ends it,
-- and only an end in the future is ever written to it (ends_at_ms: its own end, whatever follows).
CREATE TABLE prices (
    id                         uuid             PRIMARY KEY,
    tenant_id                  uuid,
    provider                   text COLLATE "C" NOT NULL,
    model                      text COLLATE "C" NOT NULL,
    source                     text             NOT NULL CHECK (source IN ('BUILTIN', 'CUSTOM')),
    input_rate_pico_usd        bigint           NOT NULL CHECK (input_rate_pico_usd >= 0),
    output_rate_pico_usd       bigint           NOT NULL CHECK (output_rate_pico_usd >= 0),
    cached_input_rate_pico_usd bigint           CHECK (cached_input_rate_pico_usd >= 0),
    cache_write_rate_pico_usd  bigint           CHECK (cache_write_rate_pico_usd >= 0),
    reasoning_rate_pico_usd    bigint           CHECK (reasoning_rate_pico_usd >= 0),
    per_request_pico_usd       bigint           CHECK (per_request_pico_usd >= 0),
    max_output_tokens          bigint           CHECK (max_output_tokens > 0),
    effective_from_ms          bigint           NOT NULL,
    ends_at_ms                 bigint           CHECK (ends_at_ms > effective_from_ms),
    source_url                 text,
    checked_on                 text,
    created_at_ms              bigint           NOT NULL
);

-- Two versions of one key never start together.
CREATE UNIQUE INDEX prices_by_key ON prices (
    provider, model, source, coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'::uuid), effective_from_ms);
CREATE INDEX prices_newest ON prices (created_at_ms, id);

-- A version with the end that holds: its own, or where the next version of its key starts.
CREATE VIEW price_versions AS
SELECT v.*,
    CASE WHEN v.next_from_ms IS NULL OR v.ends_at_ms < v.next_from_ms THEN v.ends_at_ms ELSE v.next_from_ms END AS effective_to_ms
FROM (
    SELECT p.*, lead(p.effective_from_ms) OVER (
        PARTITION BY p.source, p.tenant_id, p.provider, p.model ORDER BY p.effective_from_ms) AS next_from_ms
    FROM prices p
) v;

-- How new the shipped list is that was applied last: an older program never puts its older prices back.
CREATE TABLE builtin_price_list (checked_on text NOT NULL);
