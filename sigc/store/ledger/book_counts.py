"""Counts of a book's fills and of its orders by their end, for metrics: kept by triggers, so that reading them costs
the same however many there are.

An order that ended otherwise after all (a late fill) is counted where it ended last.
"""

from __future__ import annotations

import sqlite3

from sigc.store.ledger.records import BookKey

_FILL = "fill"

# book_counts.what: an end of orders, or 'fill'. nav_by_worth: the highest NAV of a book is found at its end.
TABLES = """
CREATE TABLE book_counts (
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    what TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (strategy, portfolio, what)
) STRICT, WITHOUT ROWID;

INSERT INTO book_counts (strategy, portfolio, what, number)
    SELECT r.strategy, r.portfolio, i.state, count(*) FROM intents i JOIN runs r ON r.id = i.run
    WHERE i.state IN ('filled', 'cancelled', 'expired', 'rejected', 'denied') GROUP BY r.strategy, r.portfolio, i.state;
INSERT INTO book_counts (strategy, portfolio, what, number)
    SELECT r.strategy, r.portfolio, 'fill', count(*)
    FROM fills f JOIN intents i USING (client_order_id) JOIN runs r ON r.id = i.run GROUP BY r.strategy, r.portfolio;

CREATE TRIGGER intents_ended AFTER UPDATE OF state ON intents
    WHEN NEW.state <> OLD.state AND NEW.state IN ('filled', 'cancelled', 'expired', 'rejected', 'denied')
BEGIN
    INSERT INTO book_counts (strategy, portfolio, what, number)
        SELECT r.strategy, r.portfolio, NEW.state, 1 FROM runs r WHERE r.id = NEW.run
        ON CONFLICT (strategy, portfolio, what) DO UPDATE SET number = number + 1;
END;

CREATE TRIGGER intents_not_ended AFTER UPDATE OF state ON intents
    WHEN NEW.state <> OLD.state AND OLD.state IN ('filled', 'cancelled', 'expired', 'rejected', 'denied')
BEGIN
    UPDATE book_counts SET number = number - 1 FROM (SELECT strategy, portfolio FROM runs WHERE id = NEW.run) AS r
        WHERE book_counts.strategy = r.strategy AND book_counts.portfolio = r.portfolio
        AND book_counts.what = OLD.state;
END;

CREATE TRIGGER intents_begun_ended AFTER INSERT ON intents
    WHEN NEW.state IN ('filled', 'cancelled', 'expired', 'rejected', 'denied')
BEGIN
    INSERT INTO book_counts (strategy, portfolio, what, number)
        SELECT r.strategy, r.portfolio, NEW.state, 1 FROM runs r WHERE r.id = NEW.run
        ON CONFLICT (strategy, portfolio, what) DO UPDATE SET number = number + 1;
END;

CREATE TRIGGER fills_counted AFTER INSERT ON fills BEGIN
    INSERT INTO book_counts (strategy, portfolio, what, number)
        SELECT r.strategy, r.portfolio, 'fill', 1 FROM intents i CROSS JOIN runs r ON r.id = i.run
        WHERE i.client_order_id = NEW.client_order_id
        ON CONFLICT (strategy, portfolio, what) DO UPDATE SET number = number + 1;
END;

CREATE INDEX nav_by_worth ON nav (strategy, portfolio, CAST(nav AS REAL));
"""


def ended(connection: sqlite3.Connection, key: BookKey) -> dict[str, int]:
    """Return the number of a book's orders by their end; ends that no order had are left out."""
    return {what: number for what, number in _counts(connection, key).items() if what != _FILL and number}


def fills(connection: sqlite3.Connection, key: BookKey) -> int:
    """Return the number of fills of a book."""
    return _counts(connection, key).get(_FILL, 0)


def _counts(connection: sqlite3.Connection, key: BookKey) -> dict[str, int]:
    rows = connection.execute(
        "SELECT what, number FROM book_counts WHERE strategy = ? AND portfolio = ?", (key.strategy, key.portfolio)
    )
    return dict(rows.fetchall())
