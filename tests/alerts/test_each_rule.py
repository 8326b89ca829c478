"""Each default rule as what it is, a function of one happening: when it tells, of what, how urgently, in which words."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sigc.alerts.rules import RULES, EventRun, Found, OrderCounts, Raise, Resolve, RuleEvent
from sigc.alerts.urgency import Urgency
from tests.house.lines import parse

AT = "2024-01-03T14:00:00+00:00"
NONE = OrderCounts()
OK = EventRun("trade", "2024-01-03", "daily", "done")
DRY = EventRun("dry", "2024-01-03")
JOB = EventRun("compute", "2024-01-03", "nightly")
STALE = EventRun("trade", "2024-01-03", errors=(("late", "prices are of Monday"), ("net", "0.4 is more than 0.1")))
DIFFER = EventRun("trade", "2024-01-03", errors=(("E602", "A is 5, the broker has 4"),))
DENIED = EventRun("trade", "2024-01-03", errors=(("E600", "the account is closed"),))


def judge(name: str, event: str, said: dict[str, Any], facts: EventRun | None = None, **more: str) -> list[Found]:
    given = {"run": "r1", "strategy": "one", **more}
    found = list(RULES[name].judge(RuleEvent(event, said, facts=facts, **given)))
    for one in found:
        if isinstance(one, Raise):
            _, _, command = one.text.splitlines()[-1].partition("Look further: ")
            assert parse(command).command is not None, one.text  # it is a command that there is
    return found


def closed(name: str, outcome: str, facts: EventRun | None, **said: Any) -> list[Found]:
    return judge(name, "run.closed", {"outcome": outcome, **said}, facts)


def titles(found: list[Found]) -> list[str]:
    return [one.title for one in found if isinstance(one, Raise)]


def test_a_run_that_failed() -> None:
    (found,) = closed("run_failed", "failed", OK, message="no prices")
    sent = "Nothing was sent; the session can be traded until its cut-off."
    text = f"Session 2024-01-03. no prices\n{sent}\nRun: r1\nLook further: sigc runs show r1"
    assert found == Raise("r1", "one: run failed", text)
    (timed,) = closed("run_failed", "failed", replace(OK, cut_off="2024-01-03 15:55:00 EST"), message="no prices")
    assert "the session can be traded until its cut-off, 2024-01-03 15:55:00 EST.\n" in timed.text
    (job,) = closed("run_failed", "failed", JOB)
    assert isinstance(job, Raise)
    assert job.urgency is Urgency.WARNING
    assert "Session 2024-01-03. it ended as failed" in job.text
    (early,) = closed("run_failed", "failed", None, message="no file")  # it never began: nothing is known of it
    assert isinstance(early, Raise)
    assert (early.urgency, early.text) == (
        Urgency.WARNING,
        "no file\nRun: r1\nLook further: sigc runs show r1",
    )
    for outcome, facts in (("failed", DRY), ("failed", STALE), ("failed", DIFFER), ("refused", OK), ("done", OK)):
        assert closed("run_failed", outcome, facts) == []


def test_a_strategy_that_does_not_compile_leads_to_the_check_of_its_file() -> None:
    message = "E002: unknown function 'zcsore' (own/a.sig:3; did you mean 'zscore'?)"
    (found,) = closed("run_failed", "failed", EventRun("trade"), message=message)
    assert isinstance(found, Raise)
    assert found.text.splitlines()[0] == message
    assert found.text.splitlines()[-1] == "Look further: sigc check own/a.sig"


def test_findings_that_stopped_it_are_told_but_for_the_message() -> None:
    errors = tuple((f"check{n}", f"text {n}") for n in range(5))
    (found,) = closed("run_failed", "failed", EventRun("trade", errors=errors), message="text 1")
    assert found.text.splitlines()[:-3] == ["text 1", "check0: text 0", "check2: text 2"]  # of the first three


def test_a_run_that_was_refused() -> None:
    (before,) = judge("run_refused", "run.refused", {"id": "r7", "message": "halted"}, None, run="")
    text = "halted\nRun: r7\nLook further: sigc audit query --strategy one"
    assert before == Raise("r7", "one: run refused", text)
    (found,) = closed("run_refused", "refused", OK, message="0.4 is more than 0.1")
    assert isinstance(found, Raise)
    assert (found.key, found.title, found.urgency) == ("r1", "one: run refused", None)
    assert found.text.endswith("Look further: sigc runs show r1")
    for outcome, facts in (("refused", DRY), ("refused", STALE), ("refused", DENIED), ("failed", OK)):
        assert closed("run_refused", outcome, facts) == []


def test_data_that_are_late() -> None:
    said = {"job": "daily", "planned": AT, "minutes": 15.2, "zone": "America/New_York", "trades": True}
    awaits = "the newest row of 'prices' is of 2024-01-01, the row of 2024-01-02 is awaited"
    (waits,) = judge("data_late", "job.waits", said | {"session": "2024-01-03", "awaits": awaits}, None)
    text = "The fire of 2024-01-03 09:00:00 EST has waited for fresh data for 15 min: the newest row of 'prices' is of "
    text += "2024-01-01, the row of 2024-01-02 is awaited.\nLook further: sigc why one 2024-01-03"
    assert waits == Raise(f"daily {AT}", "daily: data are late", text)
    (bare,) = judge("data_late", "job.waits", {"job": "fetch", "planned": "09:00", "minutes": 121}, None)
    text = "The fire of 09:00 has waited for fresh data for 2 h.\nLook further: sigc schedule history fetch"
    assert bare == Raise("fetch 09:00", "fetch: data are late", text)
    (found,) = closed("data_late", "refused", STALE)
    assert (found.key, titles([found])) == ("r1", ["one: data are late, nothing was traded"])
    compute = EventRun("compute", errors=STALE.errors)
    for outcome, facts in (("failed", STALE), ("refused", OK), ("refused", DIFFER), ("refused", compute)):
        assert closed("data_late", outcome, facts) == []


def test_ledger_and_broker_that_differ() -> None:
    for outcome in ("failed", "refused"):
        assert titles(closed("reconciliation", outcome, DIFFER)) == [
            "one: ledger and broker differ, nothing was traded"
        ]
        assert titles(closed("reconciliation", outcome, DENIED)) == ["one: the broker refused, nothing was traded"]
        assert closed("reconciliation", outcome, OK) == []
        assert closed("reconciliation", outcome, EventRun("compute", errors=DIFFER.errors)) == []
    assert closed("reconciliation", "done", DIFFER) == []


def test_a_run_that_was_cut_off() -> None:
    urgencies = []
    for facts in (OK, JOB, DRY):
        found = closed("run_interrupted", "interrupted", facts)
        urgencies.append([one.urgency for one in found if isinstance(one, Raise)])
    assert urgencies == [[None], [Urgency.WARNING], []]
    assert closed("run_interrupted", "failed", OK) == []
    assert titles(closed("run_interrupted", "interrupted", OK)) == ["one: run interrupted"]


def at_broker(short: int = 0, filled: int = 0, value: int = 0, open: int = 0, **reasons: list[str]) -> OrderCounts:
    """Orders for 1,000 shares at 2; `filled` of them, for `value`, were filled."""
    return OrderCounts(open, short, Decimal(1_000), Decimal(filled), Decimal(2_000), Decimal(value), reasons)


def with_orders(
    kind: str = "trade", lost: int = 0, outcome: str = "partial", placed: OrderCounts = NONE, **states: int
) -> EventRun:
    return EventRun(kind, "2024-01-03", "daily", outcome, states, lost, placed=placed)


@pytest.mark.parametrize(
    ("facts", "nothing", "part", "less"),
    [
        (with_orders(filled=2, placed=at_broker(0, 1_000, 2_000)), [], [], []),
        (with_orders(), [], [], []),
        (with_orders(denied=2, lost=2), ["one: nothing was traded, none of 2 orders was placed"], [], []),
        (with_orders(filled=1, denied=1, lost=1), [], ["one: 1 of 2 orders not placed"], []),
        (
            with_orders(filled=1, expired=2, placed=at_broker(2, 400, 1_000)),
            *([], [], ["one: 2 of 3 orders ended before they were filled; 50.0% of the value was"]),
        ),
        (
            with_orders(filled=1, rejected=1, cancelled=1, denied=1, lost=1, placed=at_broker(2, 400, 999)),
            [],
            ["one: 1 of 4 orders not placed"],
            ["one: 2 of 4 orders ended before they were filled; 49.9% of the value was"],
        ),
        (with_orders("dry", filled=1, expired=1, denied=1, lost=1, placed=at_broker(1)), [], [], []),
        (with_orders("dry", denied=1, lost=1), [], [], []),
    ],
)
def test_orders_of_a_run(facts: EventRun, nothing: list[str], part: list[str], less: list[str]) -> None:
    for name, expected in (("traded_nothing", nothing), ("traded_part", part), ("filled_less", less)):
        assert titles(closed(name, facts.outcome, facts)) == expected
    for name in ("traded_nothing", "traded_part"):
        assert closed(name, "cancelled", facts) == []


@pytest.mark.parametrize(("outcome", "tells"), [("partial", True), ("open", False), ("cancelled", False), ("", False)])
@pytest.mark.parametrize("open", [0, 1])
def test_orders_that_end_after_their_run(outcome: str, tells: bool, open: int) -> None:
    """They are told when the last of them has ended."""
    facts = with_orders(filled=1, expired=1, outcome=outcome, placed=at_broker(1, 500, 1_000, open))
    for event in ("order.expired", "fill"):
        found = judge("filled_less", event, {"was": "acknowledged"}, facts)
        assert bool(found) == (tells and not open)


@pytest.mark.parametrize(
    ("value", "urgency"), [(0, Urgency.CRITICAL), (999, Urgency.CRITICAL), (1_000, None), (1_999, None)]
)
def test_less_than_half_is_critical(value: int, urgency: Urgency | None) -> None:
    facts = with_orders(expired=2, placed=at_broker(2, 10, value))
    (found,) = closed("filled_less", "done", facts)
    assert isinstance(found, Raise)
    assert found.urgency is urgency


def test_what_was_filled_and_why_no_more_is_told() -> None:
    orders = {"the day ended": ["A", "B", "C", "D", "E"], "cancelled by ann: enough": ["F"], "": ["G"]}
    placed = OrderCounts(0, 7, Decimal(25_923), Decimal(173), Decimal(800_000), Decimal("5920"), orders)
    (found,) = closed("filled_less", "done", with_orders(expired=6, cancelled=1, placed=placed))
    assert titles([found]) == ["one: 7 of 7 orders ended before they were filled; 0.7% of the value was"]
    assert found.text.splitlines() == [
        "Session 2024-01-03: 7 orders, 1 cancelled, 6 expired.",
        "Filled: 173 of 25,923 shares, 0.7% of the value that was ordered.",
        "- A, B, C and 2 more: the day ended",
        "- F: cancelled by ann: enough",
        "- G: no reason was given",
        "Run: r1",
        "Look further: sigc orders --run r1",
    ]
    (none,) = closed("filled_less", "done", with_orders(expired=1, placed=replace(placed, filled=Decimal(0))))
    assert "Filled: 0 of 25,923 shares" in none.text
    parts = replace(placed, ordered=Decimal("1000.50"), filled=Decimal("0.250"))
    (fractions,) = closed("filled_less", "done", with_orders(expired=1, placed=parts))
    assert "Filled: 0.25 of 1,000.5 shares" in fractions.text


def test_the_text_of_orders() -> None:
    reasons = {"too large": ["A", "B", "C", "D"], "unknown": ["E"], "late": ["F"], "odd": ["G"], "by ann": ["H"]}
    facts = EventRun("trade", "2024-01-03", orders={"filled": 1, "denied": 2}, lost=2, reasons=reasons)
    (found,) = closed("traded_part", "partial", facts)
    assert found.text.splitlines() == [
        "Session 2024-01-03: 3 orders, 2 denied, 1 filled.",
        "- A, B, C and 1 more: too large",
        "- E: unknown",
        "- F: late",
        "- and 2 more reasons",
        "Run: r1",
        "Look further: sigc runs show r1",
    ]
    three = dict([*reasons.items()][:3])
    (all_,) = closed("traded_part", "partial", EventRun("trade", orders=facts.orders, lost=2, reasons=three))
    assert all_.text.splitlines()[1:-2] == ["- A, B, C and 1 more: too large", "- E: unknown", "- F: late"]


def test_orders_without_an_outcome() -> None:
    said = {"message": "4 orders are unknown", "assets": ["A", "B", "C", "D"]}
    (found,) = judge("order_unresolved", "alert", said)
    assert (found.key, titles([found])) == ("one", ["one: 4 orders are unknown"])
    assert found.text.startswith("4 orders are unknown: A, B, C. The strategy is halted until")
    assert found.text.endswith("Run: r1\nLook further: sigc runs show r1")
    (none,) = judge("order_unresolved", "alert", said, run="")
    assert none.text.endswith("says what became of them.\nLook further: sigc runs list")
    dropped = {"name": "halted", "scope": "one", "reason": "all were filled"}
    assert judge("order_unresolved", "control.dropped", dropped, who="sigc") == [Resolve("one", "all were filled")]
    (bare,) = judge("order_unresolved", "control.dropped", dropped | {"reason": ""}, who="sigc")
    assert bare == Resolve("one", "every order's outcome is known")
    assert judge("order_unresolved", "control.dropped", dropped, who="ann") == []
    assert judge("order_unresolved", "control.dropped", dropped | {"name": "paused"}, who="sigc") == []


def test_halts() -> None:
    said = {"name": "halted", "scope": "one", "value": "by hand", "reason": "enough"}
    (found,) = judge("halted", "control.set", said, who="ann")
    text = "one is halted by ann: enough. No order is sent.\nLook further: sigc status"
    assert found == Raise("one", "one: trading halted", text)
    (rule,) = judge("halted", "control.set", {"name": "halted", "scope": ""})
    assert (rule.key, titles([rule])) == ("", ["everything: trading halted"])
    assert rule.text.startswith("everything is halted by a rule. No order is sent.")
    assert judge("halted", "control.dropped", said, who="bob") == [Resolve("one", "resumed by bob: enough")]
    assert judge("halted", "control.set", said | {"name": "paused"}) == []
    assert judge("halted", "control.set", said | {"value": "unresolved"}) == []


@pytest.mark.parametrize("action", ["halt_trading", "flatten", "reduce_exposure", "pause_30min", "alert_only"])
def test_breakers(action: str) -> None:
    value = json.dumps({"action": action, "value": 0.03})
    said = {"name": "breaker", "scope": "big one/main", "value": value, "reason": "the book lost 3 %"}
    (found,) = judge("breaker_tripped", "control.set", said, who="sigc")
    assert isinstance(found, Raise)
    assert (found.key, found.title) == ("big one/main", "one: the breaker big has tripped")
    assert found.text.startswith("the book lost 3 %. ")
    assert found.text.endswith(".\nLook further: sigc safety status")
    assert found.urgency is (Urgency.WARNING if action == "alert_only" else None)
    (of_all,) = judge("breaker_tripped", "control.set", said | {"scope": "big"})
    assert titles([of_all]) == ["all books: the breaker big has tripped"]
    over = said | {"reason": "seen"}
    assert judge("breaker_tripped", "control.dropped", over, who="ann") == [
        Resolve("big one/main", "reset by ann: seen")
    ]
    assert judge("breaker_tripped", "control.set", said | {"name": "breaker_reset"}) == []
    assert judge("halted", "control.set", said) == []


def test_a_job_that_did_not_run() -> None:
    said = {"job": "daily", "planned": "09:00", "reason": "deadline"}
    (found,) = judge("did_not_run", "job.did_not_run", said | {"trades": True, "session": "2024-01-03"})
    text = "The fire of 09:00 has not run: deadline.\nLook further: sigc why one 2024-01-03"
    assert found == Raise("daily 09:00", "daily: did not run (deadline)", text)
    (other,) = judge("did_not_run", "job.did_not_run", said | {"planned": AT, "detail": "its run r7 goes on"})
    assert isinstance(other, Raise)
    assert (other.key, other.urgency) == (f"daily {AT}", Urgency.WARNING)
    assert other.text.splitlines() == [
        "The fire of 2024-01-03 14:00:00 UTC has not run: deadline (its run r7 goes on).",
        "Look further: sigc schedule history daily",  # `why` knows the jobs that trade
    ]


@pytest.mark.parametrize(
    ("why", "name", "title", "command"),
    [
        ("E601: silent", "book_not_kept", "one: the book is not up to date", "sigc status --detailed"),
        ("E600: closed", "books_differ", "one: not kept, ledger and broker differ", "sigc positions --strategy one"),
        ("E602: A is 5", "books_differ", "one: not kept, ledger and broker differ", "sigc positions --strategy one"),
        ("E310: no file", "ledger_damaged", "the ledger is damaged, or can't be used", "sigc audit verify"),
        ("E810: full", "ledger_damaged", "the ledger is damaged, or can't be used", "sigc audit verify"),
        ("E812: cash", "ledger_damaged", "the ledger is damaged, or can't be used", "sigc audit verify"),
    ],
)
def test_a_book_that_is_not_kept_is_told_by_one_rule(why: str, name: str, title: str, command: str) -> None:
    for one in ("book_not_kept", "books_differ", "ledger_damaged"):
        found = judge(one, "book.not_kept", {"why": why}, run="")
        assert titles(found) == ([title] if one == name else [])
        assert all(f.text.startswith(why) and f.text.endswith(f"Look further: {command}") for f in found)
        assert judge(one, "book.kept", {}) == [Resolve("one", "the book is up to date")]


def test_books_without_an_owner() -> None:
    (found,) = judge("book_without_owner", "book.unowned", {"positions": 3}, run="")
    assert (found.key, titles([found])) == ("one", ["one: a book without an owner"])
    assert found.text.startswith("The book of one holds 3 positions, and no strategy")
    (over,) = judge("book_without_owner", "book.owned", {})
    assert over == Resolve("one", "it has an owner again, or holds nothing")


def test_what_the_daemon_says_of_itself() -> None:
    (back,) = judge("daemon_recovered", "daemon.recovered", {"back": "21:00"}, run="", strategy="")
    assert (back.key, titles([back])) == ("21:00", ["the daemon was restarted after a crash"])
    assert back.text.startswith("It was last alive at an unknown time and is back since 21:00.\nNo run was open.")
    gone = {"back": "2024-01-03T14:00:00+00:00", "alive": "2024-01-02T04:00:01+00:00", "zone": "America/New_York"}
    (known,) = judge("daemon_recovered", "daemon.recovered", gone | {"open": ["r7"]}, run="", strategy="")
    assert known.text.splitlines() == [
        "It was last alive at 2024-01-01 23:00:01 EST and is back since 2024-01-03 09:00:00 EST, gone for 34 h.",
        "Runs that were open: r7; each gets its verdict now. Fires that were missed meanwhile are told by themselves"
        " (did_not_run).",
        "Look further: sigc runs show r7",
    ]
    (many,) = judge("daemon_recovered", "daemon.recovered", gone | {"open": list("abcde")}, run="", strategy="")
    assert "Runs that were open: a, b, c and 2 more; each" in many.text
    assert many.text.endswith("Look further: sigc runs list")
    checks = {"checks": {"disk": "3 MB", "calendar": "ends soon; renew it", "clock": "late"}}
    bad = judge("health_degraded", "health.degraded", checks, run="", strategy="")
    assert [one.key for one in bad] == ["disk", "clock"]
    assert titles(bad) == ["health is degraded: disk", "health is degraded: clock"]
    assert bad[0].text.startswith("disk: 3 MB\nLook further: sigc status")
    (ends,) = judge("runs_out", "health.degraded", checks, run="", strategy="")
    assert (ends.key, titles([ends])) == ("calendar", ["ends soon"])
    assert judge("health_degraded", "health.degraded", {"checks": 5}, run="", strategy="") == []
    well = {"checks": {"disk": "ok", "calendar": "ok"}}
    assert judge("health_degraded", "health.healthy", well) == [Resolve("disk", "the check 'disk' passes again")]
    assert judge("runs_out", "health.healthy", well) == [Resolve("calendar", "the calendar was renewed")]
    assert judge("cluster_lost", "cluster.found", {}, run="", strategy="") == [Resolve("", "the cluster answers again")]
    (lost,) = judge("cluster_lost", "cluster.lost", {"why": "no route"}, run="", strategy="")
    assert lost == Raise("", "the cluster does not answer", "no route\nLook further: sigc status --detailed")
    (day,) = judge(
        "daily_summary", "daily.summary", {"day": "2024-01-02", "title": "3 runs", "text": "all"}, run="", strategy=""
    )
    assert day == Raise("2024-01-02", "3 runs", "all\nLook further: sigc status", is_notice=True)


def test_conditions_that_are_written_by_hand() -> None:
    said = {"name": "loss", "when": "nav < 5", "values": "nav 4", "severity": "critical"}
    (found,) = judge("condition", "condition.met", said)
    text = "nav < 5 is so: nav 4.\nLook further: sigc status --detailed"
    assert found == Raise("loss one", "one: loss", text, Urgency.CRITICAL)
    (own,) = judge("condition", "condition.met", said | {"severity": ""}, strategy="")
    assert own == Raise("loss", "daemon: loss", text)
    (odd,) = judge("condition", "condition.met", said | {"severity": "loud"})
    assert odd == Raise("loss one", "one: loss", text)
    over = judge("condition", "condition.over", {"name": "loss", "values": "nav 6"}, strategy="")
    assert over == [Resolve("loss", "no longer so: nav 6")]


def test_a_job_without_a_strategy_is_called_by_its_own_name() -> None:
    for facts, name in ((JOB, "nightly"), (EventRun("compute"), "sigc")):
        (found,) = judge("run_failed", "run.ended", {"outcome": "failed"}, facts, strategy="")
        assert titles([found]) == [f"{name}: run failed"]


def test_urgencies_and_whether_a_rule_tells_once() -> None:
    """Conditions come and go; single happenings are told once for ever."""
    assert {name: str(rule.urgency) for name, rule in RULES.items() if rule.urgency is not Urgency.CRITICAL} == {
        "traded_part": "warning",
        "filled_less": "warning",
        "book_without_owner": "warning",
        "health_degraded": "warning",
        "runs_out": "warning",
        "daily_summary": "info",
        "condition": "warning",
    }
    of_conditions = {"order_unresolved", "halted", "breaker_tripped", "book_not_kept", "books_differ", "ledger_damaged"}
    of_conditions |= {"book_without_owner", "health_degraded", "runs_out", "cluster_lost", "condition"}
    assert {name for name, rule in RULES.items() if not rule.is_once} == of_conditions
