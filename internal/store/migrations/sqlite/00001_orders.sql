-- +goose Up
-- Times are milliseconds since 1970 in UTC; amounts are fen. What is absent is NULL.

CREATE TABLE users (
    id         TEXT    NOT NULL PRIMARY KEY,
    app_id     TEXT    NOT NULL,
    open_id    TEXT    NOT NULL,
    union_id   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (app_id, open_id)
) STRICT;

CREATE TABLE sessions (
    digest     BLOB    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE api_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    digest     BLOB    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE products (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    price       INTEGER NOT NULL CHECK (price BETWEEN 1 AND 9999999999),
    image_url   TEXT    NOT NULL,
    active      INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE orders (
    id             TEXT    NOT NULL PRIMARY KEY,
    merchant_id    TEXT    NOT NULL,
    app_id         TEXT    NOT NULL,
    user_id        TEXT    NOT NULL,
    open_id        TEXT    NOT NULL,
    channel        TEXT    NOT NULL,
    method         TEXT    NOT NULL,
    total          INTEGER NOT NULL CHECK (total BETWEEN 1 AND 9999999999),
    currency       TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    items          TEXT    NOT NULL,
    reference      TEXT    NOT NULL,
    attach         TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    expires_at     INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    -- what changes:
    status         TEXT    NOT NULL CHECK (status IN ('pending', 'paid', 'closed')),
    transaction_id TEXT,
    paid_at        INTEGER,
    closed_at      INTEGER,
    late           INTEGER NOT NULL CHECK (late IN (0, 1)),
    flagged        INTEGER NOT NULL CHECK (flagged IN (0, 1)),
    frozen         INTEGER NOT NULL CHECK (frozen IN (0, 1)),
    issued_at      INTEGER,
    due_at         INTEGER,
    misses         INTEGER NOT NULL,
    CHECK ((status = 'paid') = (transaction_id IS NOT NULL)),
    CHECK (status <> 'pending' OR due_at IS NOT NULL) -- nothing that is open is ever forgotten
) STRICT;
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_status ON orders (status, id);
CREATE INDEX orders_reference ON orders (reference, id) WHERE reference <> '';
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE attempts (
    merchant_id    TEXT    NOT NULL,
    out_trade_no   TEXT    NOT NULL,
    order_id       TEXT    NOT NULL REFERENCES orders (id),
    position       INTEGER NOT NULL,
    status         TEXT    NOT NULL CHECK (status IN ('unknown', 'open', 'paid', 'closed')),
    notify_url     TEXT    NOT NULL,
    prepay_id      TEXT    NOT NULL,
    prepaid_at     INTEGER,
    asked_at       INTEGER NOT NULL,
    transaction_id TEXT,
    receipt        TEXT,
    evidence       TEXT,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, out_trade_no), -- a number is used once, for ever
    UNIQUE (merchant_id, transaction_id),    -- a payment belongs to one order
    UNIQUE (order_id, position),
    CHECK ((status = 'paid') = (transaction_id IS NOT NULL)),
    CHECK ((status = 'paid') = (evidence IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id         TEXT    NOT NULL PRIMARY KEY,
    type       TEXT    NOT NULL,
    order_id   TEXT    NOT NULL REFERENCES orders (id),
    data       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_order ON events (order_id, id);
CREATE INDEX events_type ON events (type, id);

CREATE TABLE incidents (
    id             TEXT    NOT NULL PRIMARY KEY,
    kind           TEXT    NOT NULL,
    merchant_id    TEXT    NOT NULL,
    out_trade_no   TEXT    NOT NULL,
    transaction_id TEXT    NOT NULL,
    order_id       TEXT    NOT NULL,
    expected       TEXT    NOT NULL,
    got            TEXT    NOT NULL,
    evidence       TEXT    NOT NULL,
    seen           INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    UNIQUE (merchant_id, out_trade_no, kind, transaction_id, got) -- the same fact is kept once and counted
) STRICT;

CREATE TABLE idempotency_keys (
    scope      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    order_id   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
