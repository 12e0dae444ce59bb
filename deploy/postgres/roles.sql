-- The two roles of a cluster, and its schema. Run once in Dvara's database, as a superuser; running it again changes nothing. Then give
-- the roles passwords (ALTER ROLE dvara_app PASSWORD '...'), run the command migrate as dvara_migrator, and start the silos as dvara_app.
--
--   dvara_migrator   owns the schema and everything in it
--   dvara_app        what silos run as: reads and adds to the ledger, and may alter nothing in it. Its rights are granted by migrate.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dvara_migrator') THEN
        CREATE ROLE dvara_migrator LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dvara_app') THEN
        CREATE ROLE dvara_app LOGIN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO dvara_migrator, dvara_app', current_database());
    EXECUTE format('ALTER ROLE dvara_migrator IN DATABASE %I SET search_path = dvara', current_database());
    EXECUTE format('ALTER ROLE dvara_app IN DATABASE %I SET search_path = dvara', current_database());
END $$;

CREATE SCHEMA IF NOT EXISTS dvara AUTHORIZATION dvara_migrator;
