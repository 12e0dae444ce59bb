-- As before, and a month that it cannot make a partition for, because the default partition has rows of it, does not keep it from the
-- months behind: those rows stay where they are, and the log says so.
CREATE OR REPLACE FUNCTION make_charge_partitions(since timestamptz, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    month timestamptz := date_trunc('month', since, 'UTC');
    made integer := 0;
    partition text;
BEGIN
    WHILE month <= date_trunc('month', now(), 'UTC') + make_interval(months => months_ahead) LOOP
        partition := 'charges_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(partition) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE %I (LIKE charges INCLUDING DEFAULTS)', partition);
                EXECUTE format(
                    'ALTER TABLE charges ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    partition, first_id_at(month), first_id_at(((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
                made := made + 1;
            EXCEPTION WHEN check_violation THEN
                NULL;
            END;
        END IF;
        month := ((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    END LOOP;
    RETURN made;
END $$;

-- Charges in a journal that wait for the ledger, as its silo last said; null: nobody can say.
ALTER TABLE journals ADD COLUMN pending bigint;
