"""Every error and warning code: a title and a paragraph for `sigc explain E103`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "E001": (
            "unexpected token",
            "The text does not follow the grammar at the caret: a bracket is left open, an operator lacks a side, or "
            "a character means nothing. Comparisons can't be chained: write (a < x) and (x < b). What is wrong in "
            "one line costs that line alone, so other errors of the file are told too.",
        ),
        "E002": (
            "unknown name or function",
            "A name is neither a local above it, nor a parameter, a signal or a data source; or a function is neither "
            "an operator nor a fn or macro of the file or its imports. Names are case-sensitive. Locals are private "
            "to their signal.",
        ),
        "E003": ("missing colon", "A section header, a parameter or a data source takes a colon behind its name."),
        "E004": (
            "duplicate definition",
            "A name is given to two things: data sources, parameters and signals share one room, portfolios and "
            "definitions have their own. Two imported files that define the same name, or the file itself and an "
            "imported one, clash: rename one of them, or import only the file that is meant.",
        ),
        "E005": (
            "cycle or recursion",
            "A signal depends on itself, a fn or macro calls itself, or imports run in a circle, directly or through "
            "others; the help line shows the way round. It is also the refusal of a file that opens to too many "
            "values.",
        ),
        "E100": (
            "wrong kind",
            "A value is of another kind than its place takes: windows are numbers known before the data, operators "
            "over time and across assets take panels, by= takes labels, and only a panel can be emitted.",
        ),
        "E101": (
            "wrong arguments",
            "A call has too many or too few arguments, one of a name that is not there, or a number out of its range. "
            "Windows, periods and spans are whole numbers of 1 or more, after constants are folded.",
        ),
        "E102": (
            "missing or misplaced emit",
            "A signal or macro emits exactly once, last; a portfolio sets weights exactly once.",
        ),
        "E103": (
            "look-ahead",
            "A signal or weight reads rows of the future, which no live run has. lead() and negative periods look "
            "ahead; lag() by at least as many rows takes it back: lag(lead(x, 5), 5) is legal. Operators that "
            "remember every row (ema, cumsum, rsi...) may not read the future even under a later lag, because "
            "their state is stored as of each row.",
        ),
        "E200": (
            "file not found",
            "No file is at the path: relative paths are looked for beside the .sig file, then in the working "
            "directory, then in data.directory. Two different files of that name in those places, and files outside "
            "the data roots, are refused too.",
        ),
        "E201": (
            "bad value",
            "A file holds something that can't be: text in a numeric column, dates that repeat or run backwards, an "
            "asset twice on a date, infinities, or nothing at all. The message names file, row (header is row 1) and "
            "column.",
        ),
        "E202": (
            "missing column",
            "A column or source that is needed is not there: an asset asked for by x[AAPL], a column named in "
            "columns:, the date, the benchmark, or a source that a constraint needs.",
        ),
        "E203": (
            "sparse source",
            "A source has values on less than half of the rows of the traded panel between its first and its last date, "
            "as filings, surveys and monthly figures have. Laid by equal dates most of it would be lost, so say what is "
            "meant: asof=true lets each row take the newest value that was available, available_after= says when that "
            "was; frequency= with that of the traded panel says that gaps are gaps.",
        ),
        "E300": (
            "runtime",
            "Computing failed on a block. The message names the operator, the line and the dates; most often memory, "
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
            "too many files are open, it is of another version, or there is none. Nothing was half-written: what was being "
            "written is there whole or not at all. Remove the cause and run again.",
        ),
        "E311": (
            "in use by another process",
            "A daemon of this name already runs: it holds the PID file, the work directory or the name. The message "
            "gives its PID. Stop it, or start this one under another --name.",
        ),
        "E312": ("not in the ledger", "No run, order or book of that name is in the ledger of this work dir."),
        "E400": ("configuration can't be read", "The file is missing, no YAML, too large, or uses aliases."),
        "E401": ("unknown setting", "The configuration has a key that sigc does not know; all: sigc config reference."),
        "E402": (
            "bad setting",
            "A setting has a value it can't take, names a variable that is not set, or what it points to does not "
            "work: a scheduler that does not answer, a cluster whose workers run other versions, a cache directory "
            "that can't be written.",
        ),
        "E403": (
            "port in use",
            "A port that was asked for is taken, or may not be listened on. The message names the port, the setting and "
            "the holder where the system tells it. A port that was not asked for moves to the next free one.",
        ),
        "E500": ("dates reversed", "A range ends before it begins, or a date is none of the calendar."),
        "E501": (
            "no rows in range",
            "The data have no row between the dates asked for; the help line says what they have.",
        ),
        "E502": (
            "constraint cannot be met",
            "No book meets all hard constraints at once. The message names the smallest set of keys that clash; "
            "loosen one, or move it under soft:.",
        ),
        "E600": ("broker refused", "The broker rejected an order or a login; its own text follows."),
        "E601": (
            "broker unreachable",
            "The broker does not answer; orders in flight are resolved before more are sent.",
        ),
        "E602": (
            "broker disagrees",
            "Positions, orders or cash at the broker differ from the ledger. Who knows why accepts it by sigc run --accept-differences --reason.",
        ),
        "E603": (
            "order unresolved",
            "Whether the broker has an order is not known, and could not be learnt before the cut-off. The strategy is "
            "halted; nothing of it is sent until the order is resolved: the daemon goes on asking, or a person decides.",
        ),
        "E800": (
            "traded already",
            "A run of this strategy, portfolio, session and slot has traded, or is under way. A wanted repeat is a new "
            "revision: --force with --reason.",
        ),
        "E801": (
            "validation said no",
            "A check of the data, of the target weights or of the book failed, so nothing was traded. The findings name "
            "the check, the assets, the value and the limit.",
        ),
        "E802": (
            "not now",
            "The strategy is halted or paused, or the session's cut-off has passed. The message says since when, by whom and why.",
        ),
        "E803": ("too late", "A stage of the run took longer than its deadline; nothing more was sent."),
        "E804": (
            "not for this book",
            "What was asked of a book can't be done as it stands: the new name is held already, an order is open, or a run is "
            "under way. Nothing was changed.",
        ),
        "E805": (
            "not traded as wanted",
            "Orders of the run were denied by a limit, rejected by the broker, or not sent before the cut-off: some of "
            "them (partial), or all (nothing_traded). The message counts them and gives the first reasons. A run of "
            "which nothing was sent has not used up its session: run it again when the reason is gone.",
        ),
        "E810": (
            "audit chain broken",
            "An audit record is not what was written: changed, dropped, doubled, swapped, cut off or replaced. The message "
            "names the first such record and how it shows. Stop, keep the ledger as it is, and compare with the mirror, "
            "with copies and with the anchors.",
        ),
        "E811": (
            "anchors can't be read",
            "The file of anchors of the audit chain can't be read, or has a line that is none. Whether the chain was cut "
            "off or written anew can't be told without it.",
        ),
        "E812": (
            "books do not add up",
            "Cash, receivables or a position of a book is not what its capital, fills, charges and corporate actions come to: "
            "the ledger's file was changed by something else. Stop, keep it as it is, and compare with a copy.",
        ),
        "E900": (
            "no daemon answers",
            "Nothing listens at the address, or what listens does not answer in time. Start one by sigc daemon; sigc ps "
            "lists those that run. The address is --address, else daemon.rpc.address, else that of the daemon of the "
            "configuration's name.",
        ),
        "E901": (
            "the daemon refused",
            "The daemon is there and says no: the token is wrong or its role too low, the verb is unknown to it, it is "
            "starting or stopping, or its state is against it (a paused strategy, a run under way). Nothing was changed.",
        ),
        "W001": ("unused", "Nothing reads this name. Remove it, or begin a local's name with an underscore."),
        "W002": (
            "missing values",
            "More cells are missing than data.validation.max_missing_pct allows, dates of the traded panel are absent "
            "from a source, or assets were held while they had no price, ended, or "
            "no weight was defined (what is held stays).",
        ),
        "W003": ("suspicious window", "A window is longer than the data: its values are missing throughout."),
        "W004": (
            "calendar runs out",
            "The sessions of a trading calendar are known for fewer than 60 more days. The table is computed anew by a "
            "reload or a restart; when that adds no days, the exchange has published no more, or the package "
            "exchange_calendars is old.",
        ),
        "W005": (
            "bound again",
            "A name is bound a second time: a local of a signal, portfolio or macro, whose later value counts from there "
            "on, or a fn or macro that carries an operator's name, which its calls then mean. Nothing is wrong by "
            "itself, but it is easily read the other way.",
        ),
        "W006": (
            "anomalous prices",
            "Prices are 0 or below, or jump by more than max_return from one row to the next. Money never uses such a "
            "price: it counts as missing, a jump until the next row confirms it. mask_anomalies=true at the source hides "
            "it from signals too.",
        ),
        "W007": (
            "doubtful corporate actions",
            "A corporate action does not fit the prices, or a price jumps like a split that no action declares: an asset "
            "without prices, a day without a price, a split or a dividend that the price does not show or that is said "
            "twice, a spin-off written as a split. Nothing is changed. Correct the file, or leave it if it is right.",
        ),
        "W008": (
            "setting without effect",
            "The configuration has a setting of an earlier version that nothing reads any more. The hint says what is in "
            "its place. Remove the line.",
        ),
    }
)
