-- Text sorts by its bytes everywhere (COLLATE "C"), as it does in SQLite: both engines give the same pages and reports.
CREATE TABLE change_counter (value bigint NOT NULL);
INSERT INTO change_counter (value) VALUES (0);

CREATE TABLE changes (
    number  bigint PRIMARY KEY,
    topic   text   NOT NULL,
    subject text   NOT NULL
);

-- Wakes the silos that listen; those that do not hear it poll.
CREATE FUNCTION announce_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('dvara_changes', '');
    RETURN NULL;
END $$;

CREATE TRIGGER changes_are_announced AFTER INSERT ON changes FOR EACH STATEMENT EXECUTE FUNCTION announce_change();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: %', TG_TABLE_NAME, TG_ARGV[0];
END $$;

-- Facts about the installation that all silos must agree on, for example the fingerprint of the master key.
CREATE TABLE installation (
    name  text PRIMARY KEY,
    value text NOT NULL
);
