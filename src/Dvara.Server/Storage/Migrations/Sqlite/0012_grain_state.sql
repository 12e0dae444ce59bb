-- State that grains keep through Orleans. A cleared state stays as a row without bytes, so that its version never repeats.
CREATE TABLE grain_state (
    grain_id TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    state    BLOB,
    PRIMARY KEY (grain_id, name)
) STRICT, WITHOUT ROWID;
