CREATE TABLE change_counter (value INTEGER NOT NULL) STRICT;
INSERT INTO change_counter (value) VALUES (0);

CREATE TABLE changes (
    number  INTEGER NOT NULL PRIMARY KEY,
    topic   TEXT    NOT NULL,
    subject TEXT    NOT NULL
) STRICT;
