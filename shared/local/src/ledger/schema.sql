-- Money is decimal text, instants are milliseconds since 1970, ids and states are the words that
-- the core writes. A column exists for what is queried, conditioned upon or counted; what is only
-- carried along is JSON.

CREATE TABLE campaign (
    name      TEXT PRIMARY KEY,
    revision  INTEGER NOT NULL,
    round     INTEGER NOT NULL DEFAULT 0,
    committed TEXT NOT NULL DEFAULT '0',
    campaign  TEXT NOT NULL, -- JSON
    setups    TEXT NOT NULL, -- JSON
    lease     TEXT NOT NULL, -- JSON
    swept     TEXT NOT NULL  -- JSON
) STRICT;

CREATE TABLE round (
    campaign     TEXT NOT NULL REFERENCES campaign (name),
    number       INTEGER NOT NULL,
    state        TEXT NOT NULL DEFAULT 'OPEN',
    opened       INTEGER NOT NULL,
    last_upload  INTEGER NOT NULL,
    images       INTEGER NOT NULL DEFAULT 0,
    aliases      INTEGER NOT NULL DEFAULT 0,
    batches      INTEGER NOT NULL DEFAULT 0,
    batches_done INTEGER NOT NULL DEFAULT 0,
    tasks        INTEGER NOT NULL DEFAULT 0,
    refused      INTEGER NOT NULL DEFAULT 0,
    golden_tasks INTEGER NOT NULL DEFAULT 0,
    reserved     TEXT NOT NULL DEFAULT '0',
    pool         TEXT, -- JSON
    opened_with  INTEGER NOT NULL DEFAULT 0,
    seal         TEXT,
    close        TEXT, -- JSON
    fence        INTEGER NOT NULL DEFAULT 0,
    writer       TEXT NOT NULL DEFAULT '',
    due          INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX round_unfinished ON round (campaign, number) WHERE state <> 'AGGREGATED';

-- Never changed once written.
CREATE TABLE image (
    id       TEXT PRIMARY KEY,
    campaign TEXT NOT NULL,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    sha256   TEXT NOT NULL,
    round    INTEGER,          -- of an alias: the round that it counts in
    image    TEXT NOT NULL     -- JSON, all of it
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX image_control ON image (campaign, sha256) WHERE kind <> 'real';
CREATE INDEX image_controls ON image (campaign, kind, key) WHERE kind <> 'real';
CREATE INDEX image_aliases ON image (campaign, round, id) WHERE round IS NOT NULL;

-- The one image of a campaign that was admitted for these bytes.
CREATE TABLE content (
    campaign TEXT NOT NULL,
    sha256   TEXT NOT NULL,
    image    TEXT NOT NULL,
    PRIMARY KEY (campaign, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE batch (
    id         TEXT PRIMARY KEY,
    campaign   TEXT NOT NULL,
    round      INTEGER,
    kind       TEXT NOT NULL,
    pool       TEXT,
    members    TEXT NOT NULL, -- JSON
    state      TEXT NOT NULL,
    reserved   TEXT NOT NULL,
    created    INTEGER NOT NULL,
    first_sent INTEGER,
    fence      INTEGER NOT NULL,
    writer     TEXT NOT NULL,
    due        INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    last_error TEXT,
    outcomes   TEXT NOT NULL, -- JSON
    FOREIGN KEY (campaign, round) REFERENCES round (campaign, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX batch_round ON batch (campaign, round, id) WHERE round IS NOT NULL;
CREATE INDEX batch_due ON batch (due, id) WHERE state = 'READY';
CREATE INDEX batch_parked ON batch (campaign, created, id) WHERE state = 'PARKED';
