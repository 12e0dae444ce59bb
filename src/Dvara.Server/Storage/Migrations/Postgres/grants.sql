-- Run after every migration: what the application's role may do. The ledger it may read and add to, never alter.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dvara_app') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO dvara_app', current_schema());
        EXECUTE format('GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA %I TO dvara_app', current_schema());
        GRANT UPDATE ON change_counter, tenants, api_keys, admin_tokens, prices, journals, rollup_hours, rollup_minutes,
            rollup_tag_hours, idempotency_keys, caps, cap_generation, cap_periods, leases TO dvara_app;
        GRANT DELETE ON admin_tokens, prices, builtin_price_list, rollup_minutes, tag_values, idempotency_keys, exposures, outbox TO dvara_app;
        GRANT UPDATE, DELETE ON orleans_clusters, orleans_silos, orleans_reminders, orleans_grain_state TO dvara_app;
        EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %I TO dvara_app', current_schema());
    END IF;
END $$;
