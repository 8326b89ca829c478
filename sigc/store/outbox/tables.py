"""The tables of alerts: version 8 of the ledger. Never edited; a change is one more script of `schema.MIGRATIONS`."""

from __future__ import annotations

# alerts.routed: 0 until the daemon has created a delivery for each of its channels, and again after it is resolved.
# deliveries.digest: the delivery whose message contained this one too.
ALERTS = """
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    latest TEXT NOT NULL,
    rule TEXT NOT NULL,
    key TEXT NOT NULL,
    severity TEXT NOT NULL,
    strategy TEXT NOT NULL,
    run TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    seq INTEGER NOT NULL,
    repeats INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'open',
    who TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    changed TEXT,
    routed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX alerts_of_key ON alerts (rule, key, id);
CREATE UNIQUE INDEX alerts_current ON alerts (rule, key) WHERE state <> 'resolved';
CREATE INDEX alerts_open ON alerts (id) WHERE state <> 'resolved';
CREATE INDEX alerts_unrouted ON alerts (id) WHERE routed = 0;

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts (id),
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    since TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt TEXT NOT NULL DEFAULT '',
    sent_at TEXT,
    error TEXT NOT NULL DEFAULT '',
    digest INTEGER,
    UNIQUE (alert, channel, kind)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (channel, id) WHERE state IN ('pending', 'sending');
CREATE INDEX deliveries_sent ON deliveries (channel, sent_at) WHERE sent_at IS NOT NULL AND digest IS NULL;
"""
