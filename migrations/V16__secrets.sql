-- What servers sign with, where no setting says it: made once, by whoever needs it first.

CREATE TABLE secrets (
    name   text PRIMARY KEY,
    secret bytea NOT NULL
);
