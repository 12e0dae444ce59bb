-- Facts about the installation that whoever starts on this ledger must agree on, for example the fingerprint of the master key.
CREATE TABLE installation (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- When its silo last said that it has the journal open.
ALTER TABLE journals ADD COLUMN seen_ms INTEGER NOT NULL DEFAULT 0;
