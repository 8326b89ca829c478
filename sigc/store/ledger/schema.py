"""The ledger's tables, by version. A change is one more script at the end of `MIGRATIONS`; older ones are never edited.

Decimals, instants and JSON are TEXT. `seq` orders the audit chain, which is append-only.
"""

from __future__ import annotations

from sigc.store.ledger.book_counts import TABLES as _COUNTS
from sigc.store.outbox.tables import ALERTS

APPLICATION_ID = 0x51C1ED6E  # in the file's header: tells a ledger from any other SQLite file

_FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    session TEXT NOT NULL,
    kind TEXT NOT NULL,
    slot TEXT NOT NULL,
    revision INTEGER NOT NULL,
    as_of TEXT NOT NULL,
    started TEXT NOT NULL,
    finished TEXT,
    cut_off TEXT,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    broker TEXT NOT NULL,
    outcome TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    digests TEXT NOT NULL DEFAULT '{}',
    limits TEXT NOT NULL DEFAULT '{}',
    traded INTEGER NOT NULL DEFAULT 0
) STRICT;
-- What may be traded once: a run that decided to trade, or still may.
CREATE UNIQUE INDEX one_trade ON runs (strategy, portfolio, session, slot, revision)
    WHERE kind = 'trade' AND (traded = 1 OR outcome = 'open');
CREATE INDEX runs_open ON runs (number) WHERE outcome = 'open';

CREATE TABLE stages (
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    started TEXT NOT NULL,
    seconds REAL NOT NULL,
    outcome TEXT NOT NULL,
    findings TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- What an order was judged by: the price and sector of each asset that is held or ordered.
CREATE TABLE marks (
    run TEXT NOT NULL REFERENCES runs (id),
    asset TEXT NOT NULL,
    price TEXT,
    sector TEXT,
    PRIMARY KEY (run, asset)
) STRICT, WITHOUT ROWID;

CREATE TABLE intents (
    number INTEGER PRIMARY KEY,
    client_order_id TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL REFERENCES runs (id),
    place INTEGER NOT NULL,
    asset TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    reference TEXT NOT NULL,
    order_type TEXT NOT NULL,
    limit_price TEXT,
    time_in_force TEXT NOT NULL,
    parent TEXT NOT NULL,
    slice INTEGER NOT NULL,
    not_before TEXT,
    state TEXT NOT NULL,
    filled TEXT NOT NULL DEFAULT '0',
    broker_order_id TEXT NOT NULL DEFAULT '',
    sent_at TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    UNIQUE (run, place)
) STRICT;
CREATE INDEX intents_in_flight ON intents (number)
    WHERE state IN ('planned', 'sending', 'unknown', 'acknowledged', 'partially_filled');

CREATE TABLE fills (
    number INTEGER PRIMARY KEY,
    execution_id TEXT NOT NULL UNIQUE,
    client_order_id TEXT NOT NULL,
    asset TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    price TEXT NOT NULL,
    commission TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX fills_of_order ON fills (client_order_id);

CREATE TABLE charges (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    asset TEXT NOT NULL,
    amount TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who bore which part of a charge.
CREATE TABLE charge_shares (
    id TEXT NOT NULL REFERENCES charges (id),
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    amount TEXT NOT NULL,
    PRIMARY KEY (id, strategy, portfolio)
) STRICT, WITHOUT ROWID;

CREATE TABLE books (
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    capital TEXT NOT NULL,
    cash TEXT NOT NULL,
    opened TEXT NOT NULL,
    PRIMARY KEY (strategy, portfolio)
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    asset TEXT NOT NULL,
    quantity TEXT NOT NULL,
    average_price TEXT NOT NULL,
    PRIMARY KEY (strategy, portfolio, asset)
) STRICT, WITHOUT ROWID;

CREATE TABLE nav (
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    session TEXT NOT NULL,
    nav TEXT NOT NULL,
    cash TEXT NOT NULL,
    gross TEXT NOT NULL,
    net TEXT NOT NULL,
    PRIMARY KEY (strategy, portfolio, session)
) STRICT, WITHOUT ROWID;

-- What a person, or a rule, has decided: halted, paused, accepted differences. scope: '' for all, or a strategy.
CREATE TABLE control (
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    value TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (name, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    event TEXT NOT NULL,
    run TEXT NOT NULL,
    strategy TEXT NOT NULL,
    record TEXT NOT NULL,
    digest TEXT NOT NULL,
    signature TEXT NOT NULL
) STRICT;
CREATE INDEX audit_of_run ON audit (run) WHERE run <> '';
"""

# Run orders of the daemon with their authors and outcomes; the state of each job; missed fires.
_DAEMON = """
CREATE TABLE run_orders (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    strategy TEXT NOT NULL,
    kind TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    file TEXT NOT NULL,
    date TEXT NOT NULL,
    slot TEXT NOT NULL,
    job TEXT NOT NULL,
    fire TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked TEXT NOT NULL,
    finished TEXT,
    outcome TEXT NOT NULL DEFAULT 'open',
    message TEXT NOT NULL DEFAULT '',
    session TEXT NOT NULL DEFAULT '',
    as_of TEXT NOT NULL DEFAULT '',
    before_trading INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX run_orders_of_strategy ON run_orders (strategy, number);
CREATE INDEX run_orders_of_job ON run_orders (job, number) WHERE job <> '';
CREATE INDEX run_orders_open ON run_orders (number) WHERE outcome = 'open';

CREATE TABLE job_states (job TEXT PRIMARY KEY, record TEXT NOT NULL, at TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE misses (
    number INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    planned TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX misses_of_job ON misses (job, number);
"""

# Orders given up as absent: each sweep looks for them, as they may arrive late.
_GIVEN_UP = """
CREATE INDEX intents_given_up ON intents (number)
    WHERE state IN ('expired', 'cancelled') AND attempts > 0 AND broker_order_id = '';
"""

# History at bounded cost. Totals of each run are kept by triggers, so that no writer can forget them (REAL: for charts,
# not for accounts); indices serve pages of runs, orders and audit records.
_HISTORY = """
CREATE TABLE run_totals (
    run TEXT PRIMARY KEY REFERENCES runs (id),
    orders INTEGER NOT NULL DEFAULT 0,
    ordered REAL NOT NULL DEFAULT 0,
    fills INTEGER NOT NULL DEFAULT 0,
    traded REAL NOT NULL DEFAULT 0,
    referenced REAL NOT NULL DEFAULT 0,
    slippage REAL NOT NULL DEFAULT 0,
    commission REAL NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO run_totals (run, orders, ordered)
    SELECT run, count(*), sum(CAST(quantity AS REAL) * CAST(reference AS REAL)) FROM intents GROUP BY run;
UPDATE run_totals SET (fills, traded, referenced, slippage, commission) = (
    SELECT count(*), ifnull(sum(CAST(f.quantity AS REAL) * CAST(f.price AS REAL)), 0.0),
        ifnull(sum(CAST(f.quantity AS REAL) * CAST(i.reference AS REAL)), 0.0),
        ifnull(sum(CAST(f.quantity AS REAL) * (CAST(f.price AS REAL) - CAST(i.reference AS REAL))
            * CASE f.side WHEN 'buy' THEN 1 ELSE -1 END), 0.0),
        ifnull(sum(CAST(f.commission AS REAL)), 0.0)
    FROM intents i JOIN fills f USING (client_order_id) WHERE i.run = run_totals.run
);

CREATE TRIGGER intents_total AFTER INSERT ON intents BEGIN
    INSERT INTO run_totals (run, orders, ordered)
        VALUES (NEW.run, 1, CAST(NEW.quantity AS REAL) * CAST(NEW.reference AS REAL))
        ON CONFLICT (run) DO UPDATE SET orders = orders + 1, ordered = ordered + excluded.ordered;
END;

CREATE TRIGGER fills_total AFTER INSERT ON fills BEGIN
    UPDATE run_totals SET
        fills = fills + 1,
        traded = traded + CAST(NEW.quantity AS REAL) * CAST(NEW.price AS REAL),
        referenced = referenced + CAST(NEW.quantity AS REAL) * i.price,
        slippage = slippage + CAST(NEW.quantity AS REAL) * (CAST(NEW.price AS REAL) - i.price)
            * CASE NEW.side WHEN 'buy' THEN 1 ELSE -1 END,
        commission = commission + CAST(NEW.commission AS REAL)
    FROM (SELECT run, CAST(reference AS REAL) AS price FROM intents WHERE client_order_id = NEW.client_order_id) AS i
    WHERE run_totals.run = i.run;
END;

CREATE INDEX runs_traded ON runs (strategy, number) WHERE traded = 1;
CREATE INDEX runs_that_traded ON runs (number) WHERE traded = 1;
CREATE INDEX runs_by_time ON runs (started, id);
CREATE INDEX run_orders_by_time ON run_orders (asked, id);
CREATE INDEX run_orders_of_strategy_by_time ON run_orders (strategy, asked, id);
CREATE INDEX runs_of_strategy_by_time ON runs (strategy, started, id);
CREATE INDEX intents_ended_early ON intents (state, number)
    WHERE state IN ('cancelled', 'expired', 'rejected', 'denied');
CREATE INDEX audit_of_event ON audit (event, seq);
CREATE INDEX audit_of_strategy ON audit (strategy, event, seq) WHERE strategy <> '';
"""

# No statement of a daemon or a run scans a growing table (tests/store/test_plans.py).
_PLANS = """
DROP INDEX intents_given_up;
CREATE INDEX intents_given_up_by_time ON intents (sent_at)
    WHERE state IN ('expired', 'cancelled') AND attempts > 0 AND broker_order_id = '';
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX fills_by_time ON fills (at);
CREATE INDEX charges_by_time ON charges (at);
CREATE INDEX runs_of_strategy ON runs (strategy, number);
CREATE INDEX runs_of_session ON runs (strategy, portfolio, session);
CREATE INDEX runs_of_kind_by_time ON runs (kind, started, id);
CREATE INDEX runs_of_outcome_by_time ON runs (outcome, started, id);
CREATE INDEX run_orders_of_kind_by_time ON run_orders (kind, asked, id);
CREATE INDEX run_orders_of_outcome_by_time ON run_orders (outcome, asked, id);
"""

# The as-of day from which a book's rows are counted: that of its first run that traded, else the day it was opened.
_ANCHOR = """
ALTER TABLE books ADD COLUMN anchor TEXT NOT NULL DEFAULT '';
UPDATE books SET anchor = ifnull((
    SELECT as_of FROM runs r WHERE r.strategy = books.strategy AND r.portfolio = books.portfolio AND r.traded = 1
    ORDER BY number LIMIT 1
), substr(opened, 1, 10));
"""

# Corporate actions: lists by owner, entries, watermarks. actions.due: the session at which the action is processed
# next, '' for none. action_lists: the books that list an asset's actions; the first owns the list, which says nothing
# up to the session `since`. books.receivables: money owed to the book.
_ACTIONS = """
CREATE TABLE actions (
    asset TEXT NOT NULL,
    kind TEXT NOT NULL,
    ex_date TEXT NOT NULL,
    id TEXT NOT NULL,
    ratio TEXT NOT NULL,
    cash TEXT NOT NULL,
    into_asset TEXT NOT NULL,
    value TEXT,
    total_return TEXT,
    pay_date TEXT,
    session TEXT NOT NULL,
    before TEXT NOT NULL,
    pay_session TEXT NOT NULL,
    price TEXT,
    due TEXT NOT NULL,
    vanished TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (asset, kind, ex_date, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX actions_due ON actions (due) WHERE due <> '';
CREATE INDEX actions_into ON actions (into_asset) WHERE into_asset <> '';
CREATE INDEX actions_of_session ON actions (session);
CREATE INDEX actions_by_instant ON actions (asset, before);

CREATE TABLE action_entries (
    number INTEGER PRIMARY KEY,
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    asset TEXT NOT NULL,
    kind TEXT NOT NULL,
    ex_date TEXT NOT NULL,
    id TEXT NOT NULL,
    step TEXT NOT NULL,
    into_asset TEXT NOT NULL,
    change TEXT NOT NULL,
    into_change TEXT NOT NULL,
    fraction TEXT NOT NULL,
    cash TEXT NOT NULL,
    receivable TEXT NOT NULL,
    session TEXT NOT NULL,
    pay_session TEXT NOT NULL,
    at TEXT NOT NULL,
    reason TEXT NOT NULL,
    corrects INTEGER
) STRICT;
CREATE INDEX entries_of_action ON action_entries (asset, kind, ex_date, id);
CREATE INDEX entries_of_book ON action_entries (strategy, portfolio, session);

CREATE TABLE action_lists (
    asset TEXT NOT NULL,
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    digest TEXT NOT NULL,
    is_owner INTEGER NOT NULL,
    since TEXT NOT NULL,
    PRIMARY KEY (asset, strategy, portfolio)
) STRICT, WITHOUT ROWID;

CREATE TABLE action_watermarks (
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    asset TEXT NOT NULL,
    session TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (strategy, portfolio, asset)
) STRICT, WITHOUT ROWID;
INSERT INTO action_watermarks (strategy, portfolio, asset, session, reason)
    SELECT strategy, portfolio, '', ifnull((SELECT max(session) FROM nav), substr(opened, 1, 10)), 'upgrade' FROM books;

ALTER TABLE books ADD COLUMN receivables TEXT NOT NULL DEFAULT '0';
ALTER TABLE nav ADD COLUMN receivables TEXT NOT NULL DEFAULT '0';
ALTER TABLE nav ADD COLUMN basis TEXT NOT NULL DEFAULT 'traded';
UPDATE nav SET basis = 'declared';
CREATE INDEX fills_of_asset ON fills (asset, at);
"""

# Adjusting entries: differences to the broker that a person adopted. books.funded: the name under which a simulated
# broker knows the deposit of its capital, which stays when the book is renamed.
_ADJUSTMENTS = """
CREATE TABLE adjustments (
    number INTEGER PRIMARY KEY,
    strategy TEXT NOT NULL,
    portfolio TEXT NOT NULL,
    asset TEXT NOT NULL,
    change TEXT NOT NULL,
    cash TEXT NOT NULL,
    price TEXT,
    cause TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    session TEXT NOT NULL,
    since TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX adjustments_of_book ON adjustments (strategy, portfolio, session);
CREATE INDEX adjustments_of_asset ON adjustments (asset, since);
CREATE INDEX adjustments_of_order ON adjustments (client_order_id) WHERE client_order_id <> '';
ALTER TABLE books ADD COLUMN funded TEXT NOT NULL DEFAULT '';
UPDATE books SET funded = strategy || '/' || portfolio;
"""

# adjustments.worth: of a share that came or left, where that is not its cost.
_WORTH = "ALTER TABLE adjustments ADD COLUMN worth TEXT;"

_TO_ALERTS = (_FIRST, _DAEMON, _GIVEN_UP, _HISTORY, _PLANS, _ANCHOR, _ACTIONS, ALERTS)
MIGRATIONS: tuple[str, ...] = (*_TO_ALERTS, _ADJUSTMENTS, _WORTH, _COUNTS)
