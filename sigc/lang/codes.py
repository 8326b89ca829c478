"""Every error and warning code: a title and a paragraph for `sigc explain E103`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "E001": (
            "unexpected token",
            "The text does not follow the grammar at the caret: a bracket is left open, an operator lacks a side, or "
            "a character is invalid. Comparisons can't be chained: write (a < x) and (x < b). An error in one line "
            "costs that line alone, so other errors of the file are reported too.",
        ),
        "E002": (
            "unknown name or function",
            "A name is neither a local above it, nor a parameter, a signal or a data source; or a function is neither "
            "an operator nor a fn or macro of the file or its imports. Names are case-sensitive. Locals are private "
            "to their signal.",
        ),
        "E003": ("missing colon", "A section header, a parameter or a data source needs a colon after its name."),
        "E004": (
            "duplicate definition",
            "A name is defined twice: data sources, parameters and signals share one namespace, portfolios and "
            "definitions have their own. Two imported files that define the same name, or the file itself and an "
            "imported one, clash: rename one of them, or import only the file that is meant.",
        ),
        "E005": (
            "cycle or recursion",
            "A signal depends on itself, a fn or macro calls itself, or imports run in a circle, directly or through "
            "others; the help line shows the cycle. The same code refuses a file that expands to too many values.",
        ),
        "E100": (
            "wrong kind",
            "A value has the wrong kind for its place: windows are numbers known before the data, operators "
            "over time and across assets take panels, by= takes labels, and only a panel can be emitted.",
        ),
        "E101": (
            "wrong arguments",
            "A call has too many or too few arguments, one with an unknown name, or a number out of its range. "
            "Windows, periods and spans are whole numbers of 1 or more, after constants are folded.",
        ),
        "E102": (
            "missing or misplaced emit",
            "A signal or macro emits exactly once, last; a portfolio sets weights exactly once.",
        ),
        "E103": (
            "look-ahead",
            "A signal or weight reads rows of the future, which no live run has. lead() and negative periods look "
            "ahead; lag() by at least as many rows undoes it: lag(lead(x, 5), 5) is allowed. Operators that "
            "remember every row (ema, cumsum, rsi...) may not read the future even under a later lag, because "
            "their state is stored as of each row.",
        ),
        "E200": (
            "file not found",
            "There is no file at the path. Relative paths are searched beside the .sig file, then in the working "
            "directory, then in data.directory. Two different files of that name in those places, and files outside "
            "the data roots, are refused too.",
        ),
        "E201": (
            "bad value",
            "A file holds an impossible value: text in a numeric column, dates that repeat or run backwards, an "
            "asset twice on a date, infinities, or nothing at all. The message names file, row (header is row 1) and "
            "column.",
        ),
        "E202": (
            "missing column",
            "A required column or source is missing: an asset named by x[AAPL], a column named in "
            "columns:, the date, the benchmark, or a source that a constraint needs.",
        ),
        "E203": (
            "sparse source",
            "A source has values on less than half of the rows of the traded panel between its first and its last date, "
            "as filings, surveys and monthly figures have. Aligned by equal dates, most rows would have no value, so declare "
            "the meaning: asof=true gives each row the newest value available, available_after= when a value becomes "
            "available; frequency= with that of the traded panel accepts the gaps.",
        ),
        "E300": (
            "runtime",
            "The computation of a block failed. The message names the operator, the line and the dates; most often memory, "
            "a lost worker, or a full disk.",
        ),
        "E302": (
            "too few rows",
            "The data hold fewer rows than the longest window needs, so every value would be missing. The message "
            "gives the number needed.",
        ),
        "E310": (
            "ledger can't be used",
            "The ledger in the work dir can't be opened, read or written: the disk is full or broken, the rights are wrong, "
            "too many files are open, it is of another version, or there is none. Every write is "
            "complete or absent. Remove the cause and run again.",
        ),
        "E311": (
            "in use by another process",
            "A daemon of this name already runs: it holds the PID file, the work directory or the name. The message "
            "gives its PID. Stop it, or start this one under another --name.",
        ),
        "E312": ("not in the ledger", "No run, order or book of that name is in the ledger of this work dir."),
        "E400": ("configuration can't be read", "The file is missing, not YAML, too large, or uses aliases."),
        "E401": ("unknown setting", "The configuration has a key that sigc does not know; all: sigc config reference."),
        "E402": (
            "bad setting",
            "A setting has an invalid value, names a variable that is not set, or refers to something that does not "
            "work: a scheduler that does not answer, a cluster whose workers run other versions, a cache directory "
            "that can't be written.",
        ),
        "E403": (
            "port in use",
            "A configured port is in use, or listening on it is not permitted. The message names the port, the setting and, "
            "if the system tells it, the process. A port that is not configured moves to the next free one.",
        ),
        "E500": ("dates reversed", "A range ends before it begins, or a date is invalid."),
        "E501": (
            "no rows in range",
            "The data have no row between the requested dates; the help line gives their range.",
        ),
        "E502": (
            "constraint cannot be met",
            "No book satisfies all hard constraints at once. The message names the smallest set of keys that conflict; "
            "loosen one, or move it under soft:.",
        ),
        "E600": ("broker refused", "The broker rejected an order or a login; its own text follows."),
        "E601": (
            "broker unreachable",
            "The broker does not answer; orders in flight are resolved before more are sent.",
        ),
        "E602": (
            "broker disagrees",
            "Positions, orders or cash at the broker differ from the ledger. `sigc reconcile` names the likely causes; "
            "`sigc reconcile --adopt --reason` takes the broker's state into the ledger.",
        ),
        "E603": (
            "order unresolved",
            "It is unknown if the broker has an order, and the cut-off came before an answer. The strategy is halted and "
            "sends nothing until the order is resolved: the daemon keeps asking, or a person decides.",
        ),
        "E800": (
            "traded already",
            "A run of this strategy, portfolio, session and slot has traded, or is in progress. A deliberate repeat is a "
            "new revision: --force with --reason.",
        ),
        "E801": (
            "validation failed",
            "A check of the data, of the target weights or of the book failed, so nothing was traded. The findings name "
            "the check, the assets, the value and the limit.",
        ),
        "E802": (
            "not now",
            "The strategy is halted or paused, or the session's cut-off has passed. The message gives the time, the person and the reason.",
        ),
        "E803": (
            "too late",
            "A stage of the run took longer than its deadline, and was given up; nothing more was sent. If what it waits for "
            "hangs, a health check says so until it answers (`sigc status --detailed`).",
        ),
        "E804": (
            "not for this book",
            "The request can't be carried out on the book in its current state: the new name is held already, an order is "
            "open, or a run is in progress. Nothing was changed.",
        ),
        "E805": (
            "not traded as wanted",
            "Orders of the run were denied by a limit, rejected by the broker, or not sent before the cut-off: some of "
            "them (partial), or all (nothing_traded). The message counts them and gives the first reasons. A run that "
            "sent nothing has not used its session: run it again when the reason is gone.",
        ),
        "E806": (
            "no time to send",
            "The orders of the run cannot all leave before its cut-off: the broker takes so many orders a minute, or takes "
            "none before it. Or a session that the run does not know completes before they may leave: a run between the "
            "cut-off and the close. The message has the arithmetic. Nothing was decided: the session can be traded yet.",
        ),
        "E810": (
            "audit chain broken",
            "An audit record was altered: changed, dropped, repeated, swapped, cut off or replaced. The message names the "
            "first such record and the evidence. Stop, keep the ledger as it is, and compare with the mirror, "
            "with copies and with the anchors.",
        ),
        "E811": (
            "anchors can't be read",
            "The file of anchors of the audit chain can't be read, or has an invalid line. Without it, a chain "
            "that was cut off or rewritten can't be detected.",
        ),
        "E812": (
            "the ledger is not what its audit comes to",
            "A decision, a book, a position, an order, a fill or a NAV is not what the records of its changes come to: "
            "something else changed the ledger's file. Stop, keep it as it is, and compare with a copy. A start halts "
            "everything then; `sigc safety resume --reason` accepts what differs.",
        ),
        "E900": (
            "no daemon answers",
            "No process listens at the address, or it does not answer in time. Start a daemon by sigc daemon; sigc ps "
            "lists running ones. The address is --address, else daemon.rpc.address, else that of the daemon of the "
            "configuration's name.",
        ),
        "E901": (
            "the daemon refused",
            "The daemon refused the request: the token is wrong or its role too low, the verb is unknown to it, it is "
            "starting or stopping, or its state forbids it (a paused strategy, a run in progress). Nothing was changed.",
        ),
        "W001": ("unused", "This name is never read. Remove it, or begin a local's name with an underscore."),
        "W002": (
            "missing values",
            "More cells are missing than data.validation.max_missing_pct allows, dates of the traded panel are absent "
            "from a source, or assets were held while they had no price, ended, or "
            "no weight was defined (positions stay).",
        ),
        "W003": ("suspicious window", "A window is longer than the data: its values are missing throughout."),
        "W004": (
            "calendar runs out",
            "The sessions of a trading calendar are known for fewer than 60 more days. The table is recomputed by a "
            "reload or a restart; if that adds no days, the exchange has published no more, or the package "
            "exchange_calendars is old.",
        ),
        "W005": (
            "bound again",
            "A name is bound a second time: a local of a signal, portfolio or macro has its later value from there on; "
            "a fn or macro with an operator's name replaces the operator in calls. Both are allowed, but easily "
            "misread.",
        ),
        "W006": (
            "anomalous prices",
            "Prices are 0 or below, or jump by more than max_return from one row to the next. Valuations and orders never use such "
            "a price: it counts as missing, a jump until the next row confirms it. mask_anomalies=true at the source hides "
            "it from signals too.",
        ),
        "W007": (
            "doubtful corporate actions",
            "A corporate action does not fit the prices, or a price jumps like a split that no action declares: an asset "
            "without prices, a day without a price, a split or a dividend that the price does not show or that is "
            "repeated, a spin-off written as a split. Nothing is changed. Correct the file, or leave it if it is right.",
        ),
        "W008": (
            "setting without effect",
            "The configuration has a setting of an earlier version that nothing reads any more. The hint says what is in "
            "its place. Remove the line.",
        ),
        "W009": (
            "edited, not loaded",
            "A strategy's file, or one that it imports, is not what the daemon loaded. Its jobs trade the loaded text until "
            "`sigc reload` takes the file; `sigc run FILE --dry-run` shows what the file as it is now would trade.",
        ),
    }
)
