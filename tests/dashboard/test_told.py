"""What the views say of answers that are written here: whole rows, tiles and bars, from literals; no daemon, no browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sigc.errors import Diagnostic
from sigc.rpc.messages.alerts import AlertLine, AlertsReply, AlertStatusReply, ChannelLine
from sigc.rpc.messages.breakers import BreakersReply, BreakerStatus
from sigc.rpc.messages.history import (
    Artifact,
    DetailReply,
    NavReply,
    PlanLine,
    PositionsReply,
    SignalDay,
    SignalLine,
    SignalsReply,
    StageLine,
)
from sigc.rpc.messages.page import SafetyReply, StopDecision
from sigc.rpc.messages.requests import (
    JobsReply,
    JobStatus,
    LogsReply,
    NextReply,
    RunsReply,
    RunStatus,
    StatusReply,
    Upcoming,
)
from sigc.rpc.messages.status import Details, StrategyStatus, WorkerStatus
from sigc.rpc.verb import Role
from sigc.store.history.holding import Holding
from sigc_dashboard.daemon_feed import DETAILS, STATUS, Ask, FeedAnswer, Snapshot
from sigc_dashboard.parts.alerts import ALERT_STATUS, ALERTS
from sigc_dashboard.parts.books import book_of
from sigc_dashboard.view_api import Look, Where
from sigc_dashboard.views import VIEWS, orders, overview, run, strategy
from tests.dashboard.reading import Document
from tests.dashboard.test_tracks import drawn

MORNING, NOON = datetime(2024, 1, 12, 13, 30, tzinfo=UTC), datetime(2024, 1, 12, 17, tzinfo=UTC)
GOING = RunStatus("r9", "momentum", "trade", "running", MORNING, "compute", 3, 8, "2016 to 2017")
WAITING = RunStatus("r10", "", "script", "waiting", NOON, job="tidy")
STATUS_NOW = StatusReply(
    name="demo",
    status="running",
    pid=1,
    identity="",
    version="1",
    uptime_seconds=310_920.0,
    memory_bytes=3 << 30,
    memory_limit_bytes=4 << 30,
    cpu_pct=37.4,
    zone="America/New_York",
    is_ready=True,
    is_paused=False,
    life="one",
    strategies=(
        StrategyStatus("momentum", "active", MORNING, NOON, "success", "r8"),
        StrategyStatus("value", "halted", NOON, None, "unresolved", "r7"),
        StrategyStatus("carry", "paused", None, None),
        StrategyStatus("trend", "paused", MORNING, None, "failed"),
    ),
)
MORE = Details(
    cluster="local",
    workers=(WorkerStatus("a", 1, 2, 3), WorkerStatus("b", 1, 2, 3)),
    queue=(GOING, WAITING),
    checks={"data_connection": "ok", "disk_space": "3 GB are left", "broker_connection": "ok"},
)
STRATEGY = next(view for view in VIEWS if view.name == "strategy")


def parts(view: str, what: str = "", more: Mapping[Ask[Any], Any] | None = None) -> Mapping[str, tuple[Document, str]]:
    """The parts of a view by name, and the HTML of each."""
    given = {STATUS: STATUS_NOW, DETAILS: replace(STATUS_NOW, detailed=MORE), **(more or {})}
    found = next(one for one in VIEWS if one.name == view)
    snapshot = Snapshot(MappingProxyType({ask: FeedAnswer(value) for ask, value in given.items()}), 1.0)
    made = found.parts(Look(Where("demo", what), snapshot, Role.TRADE))
    return {part.name: (Document(str(part.html)), str(part.html)) for part in made}


def test_the_overview_of_a_busy_daemon() -> None:
    done = RunStatus("r8", "momentum", "trade", "ended", MORNING, finished=NOON, outcome="done", message="2 orders")
    fires = (Upcoming("morning", "momentum", NOON, NOON), Upcoming("evening", "value", NOON, MORNING))
    told = parts("overview", "", {overview.RUNS: RunsReply((GOING, done)), overview.NEXT: NextReply(fires, "UTC")})
    assert told["figures"][0].tiles == {
        "State": ("running", "up 3 d 14 h"),
        "Health": ("1 problem", "disk space"),
        "Memory": ("3 GB", "of 4 GB", "75 %"),
        "Processor": ("37 %", "of all it may use", "37 %"),
        "Workers": ("2", "workers on this machine"),
        "Under way": ("2 runs", "momentum: compute 3/8"),
    }
    assert [row[0] for row in told["strategies"][0].tables["Strategies"][1:]] == [
        "momentum active",
        "value halted",
        "carry paused",
        "trend paused",
    ]
    assert [row[2:4] for row in told["strategies"][0].tables["Strategies"][1:]] == [
        ("successJan 12 08:30", "Jan 12 12:00"),
        ("unresolvedJan 12 12:00", "–"),
        ("never run", "–"),
        ("failedJan 12 08:30", "–"),
    ]
    assert [row[4][:5] for row in told["strategies"][0].tables["Strategies"][1:]] == [
        "Pause",
        "Pause",
        "Resum",
        "Resum",
    ]
    assert told["recent"][0].tables["Runs"][1:] == [
        ("momentum", "running", "trade", "Jan 12 08:30", "–", "r9"),
        ("momentum", "done", "trade", "Jan 12 08:30", "3 h 30 min", "r8"),
    ]
    assert told["recent"][0].words.startswith("momentum trade: donemomentum trade: running")  # oldest first
    assert 'title="momentum · trade · done"' in told["recent"][1]
    assert 'title="2 orders"' in told["recent"][1]
    assert told["fires"][0].words == "morning Jan 12 17:00evening Jan 12 13:30"
    checks = "failed disk space3 GB are leftok broker connectionok data connection"  # what is wrong comes first
    assert told["checks"][0].words == checks


def test_the_card_of_alerts() -> None:
    """The most urgent first, whoever looks at it, and what the channels did not take."""
    looked = AlertLine(
        *(7, MORNING, "warning", "traded_part", "acknowledged", "value", "r7", "value: 1 of 2 orders", "<i>denied</i>"),
        *(0, MORNING, "anna", "I look", NOON),
    )
    new = replace(looked, id=6, severity="critical", rule="halted", state="open", run="", title="halted", repeats=2)
    channels = (ChannelLine("ops", "slack", 2, NOON, "503"), ChannelLine("mail", "email", 0, None, ""))
    status = AlertStatusReply({"critical": 1, "warning": 3}, channels)
    told, html = parts("overview", "", {ALERTS: AlertsReply((looked, new)), ALERT_STATUS: status})["alerts"]
    assert told.tables["Open alerts"] == [
        ("Severity", "What", "Strategy", "Since", "Looked at by", "Control"),
        ("critical", "halted, alert 6 2 repeatshalted<i>denied</i>", "value", "Jan 12 08:30", "nobody", "Acknowledge"),
        (
            "warning",
            "traded_part, alert 7 r7value: 1 of 2 orders<i>denied</i>",
            "value",
            "Jan 12 08:30",
            "anna I look",
            "",
        ),
    ]
    assert "2 older ones are open too" in told.words
    assert "2 undelivered ops: 2 (503)" in told.words
    assert "<i>" not in html
    none: dict[Ask[Any], Any] = {ALERTS: AlertsReply(()), ALERT_STATUS: AlertStatusReply({}, channels[1:])}
    assert parts("overview", "", none)["alerts"][0].words == "No alert is open.1 channel, none with undelivered alerts."
    nobody: dict[Ask[Any], Any] = {ALERTS: AlertsReply(()), ALERT_STATUS: AlertStatusReply({}, ())}
    assert "nobody is told" in parts("overview", "", nobody)["alerts"][0].words


def test_the_choice_of_a_strategy() -> None:
    (found, _) = parts("strategy")["choose"]
    assert found.tiles == {
        "Strategies": ("4",),
        "Active": ("1",),
        "Paused, disabled, halted": ("3",),
        "Last run not well": ("2", "value, trend"),
    }
    assert found.tables["Strategies"][1:] == [
        ("momentum", "active", "success", "Jan 12 08:30", "Jan 12 12:00"),
        ("value", "halted", "unresolved", "Jan 12 12:00", "–"),
        ("carry", "paused", "never run", "–", "–"),
        ("trend", "paused", "failed", "Jan 12 08:30", "–"),
    ]
    head, html = parts("strategy", "carry")["head"]
    assert head.words.startswith("carrypausedResume")
    assert ('data-do="resume"' in html, 'data-do="pause"' in html) == (True, False)
    momentum = parts("strategy", "momentum")["head"][0]
    assert momentum.facts == {"Last run": "success Jan 12 08:30", "Next run": "Jan 12 12:00"}


def test_positions_and_the_bars_of_their_drift() -> None:
    held = (
        Holding("AAA", 100.0, 9.0, 10.0, 1000.0, 0.11, 100.0, 0.10, 0.01),
        Holding("BBB", -50.0, 8.0, 10.0, -500.0, -0.05, -100.0, 0.0, -0.05),
        Holding("CCC", 7.0, 1.0, None, None, None, None, 0.02, None),
    )
    reply = PositionsReply("momentum", "main", 1e4, 5e3, "2024-01-11", "r8", 20, held, 10_000.0)
    found, html = parts("strategy", "momentum", {strategy.positions_of("momentum"): reply})["positions"]
    assert found.tables["Positions"][1:] == [
        ("AAA", "11.00%", "10.00%", "+1.00%", "", "1,000", "100", "10.00", "+100"),
        ("BBB", "-5.00%", "0.00%", "-5.00%", "", "-500", "-50", "10.00", "-100"),
        ("CCC", "–", "2.00%", "–", "", "–", "7", "–", "–"),
    ]
    below = "At the prices of 2024-01-11; weights are shares of 10,000, and 17 smaller ones not shown."
    assert found.words.endswith(below)
    bars = ['<rect x="30.0" y="2" width="15.0"', '<rect x="0.0" y="2" width="30.0"', '<rect x="30.0" y="2" width="0.0"']
    assert [html.count(bar) for bar in bars] == [1, 1, 1]
    asks = {book_of(one.name): PositionsReply(one.name) for one in STATUS_NOW.strategies}
    asks[book_of("momentum")] = reply
    assert parts("orders", "", asks)["positions"][0].words.endswith("17 smaller positions not shown.")


def test_signals() -> None:
    quantiles = (-2.0, -1.5, -1.0, 0.25, 1.0, 1.5, 3.0)
    days = tuple(
        SignalDay(
            f"r{n}", f"2024-01-{12 - n}", f"2024-01-{11 - n}", 10, (SignalLine("fast", 8 - n, quantiles, ic=ic),), bps
        )
        for n, (ic, bps) in enumerate([(None, 4.0), (-0.05, None), (0.15, -2.0)])
    )
    reply = SignalsReply(days, {"fast": (-0.002, 0.001, 0.0, 0.003, 0.004)})
    nav = NavReply("momentum", session=("2024-01-11",), nav=(7.0,), drawdown=(-0.1,), daily=(0.2,), gross=(0.3,),
                   net=(0.4,), turnover=(0.5,), commission=(6.0,), slippage=(7.0,))  # fmt: skip
    asks: dict[Ask[Any], Any] = {strategy.signals_of("momentum"): reply, strategy.nav_of("momentum"): nav}
    found, _ = parts("strategy", "momentum", asks)["signals"]
    assert found.tables["Signals"] == [
        ("Signal", "Assets", "Coverage", "Least", "Median", "Greatest", "Last IC", "Mean IC", "Runs with IC"),
        ("fast", "8 of 10", "80%", "-2", "0.25", "3", "-0.050", "+0.050", "2"),
    ]
    assert found.words.endswith("IC: the rank correlation with the next session's returns. Below: fast.")
    where = Where("demo", "momentum")
    plots = {plot.name: plot for plot in STRATEGY.plots(where)}
    look = Look(
        where, Snapshot(MappingProxyType({ask: FeedAnswer(value) for ask, value in asks.items()}), 1.0), Role.READ
    )
    for plot in plots.values():
        plot.update(look)
    assert {name: drawn(plot.model)[-1][-1] for name, plot in plots.items()} == {
        "nav": "nav",
        "drawdown": "drawdown",
        "daily": "daily",
        "exposure": "net",
        "turnover": "turnover",
        "spread": "median",
        "coverage": "coverage",
        "ic": "mean_ic",
        "slippage": "bps",
        "fifths": "mean",
    }
    track, signals, fifths = (plots[name].model.renderers[0].data_source.data for name in ("nav", "ic", "fifths"))
    assert [list(track[name]) for name in ("nav", "drawdown", "gross", "net")] == [[7.0], [-0.1], [0.3], [0.4]]
    assert [list(signals[name]) for name in ("coverage", "median")] == [[0.6, 0.7, 0.8], [0.25] * 3]
    assert list(signals["ic"])[:2] == [0.15, -0.05]  # oldest first
    assert list(fifths["mean"]) == [-0.002, 0.001, 0.0, 0.003, 0.004]


def test_orders_and_safety_of_a_daemon_that_is_held_up() -> None:
    decisions = (
        StopDecision("paused", "carry", "anna", "a holiday", MORNING),
        StopDecision("halted", "value", "bob", "it lost", NOON),
        StopDecision("paused", "", "carl", "all of it", NOON),
    )
    jobs = (
        JobStatus("morning", "rebalance", "0 9 * * 1-5", "UTC", "momentum", True, False, "idle", NOON, None, "done"),
        JobStatus("evening", "compute", "close+5m", "UTC", "value", True, True, "waiting", MORNING, None, "failed"),
        JobStatus("never", "script", "0 0 29 2 *", "UTC", "", False, False, "running"),
    )
    big = BreakerStatus("big", "loss", "value", "main", "halt_trading", 0.02, 1, "tripped", 0.03, since=NOON)
    odd = BreakerStatus("odd", "loss", "value", "main", "alert_only", 0.02, 1, "can't be evaluated", why="NaN")
    asked: dict[Ask[Any], Any] = {orders.SAFETY: SafetyReply(decisions), orders.JOBS: JobsReply(jobs, "UTC")}
    for breakers, tile in (((), ("0", "none is set")), ((odd,), ("not evaluated", "odd: NaN"))):
        told = parts("orders", "", {**asked, orders.BREAKERS: BreakersReply(breakers)})
        assert told["trading"][0].tiles["Circuit breakers"] == tile
    told = parts("orders", "", {**asked, orders.BREAKERS: BreakersReply((odd, big))})
    assert told["trading"][0].tiles == {
        "Trading": ("partly halted", "value"),
        "Broker": ("paper", "a simulation"),
        "Schedule": ("2 paused", "carry, trend"),
        "Under way": ("2 runs",),
        "Decisions that hold": ("3",),
        "Circuit breakers": ("tripped", "big"),
    }
    assert [row[:2] for row in told["control"][0].tables["Controls"][1:]] == [
        ("everything", "active"),
        ("momentum", "active"),
        ("value", "halted"),
        ("carry", "paused"),
        ("trend", "paused"),
    ]
    whole = [row[2] for row in told["control"][0].tables["Controls"][1:]]
    assert whole[1:4] == ["PauseHaltDry runRun", "PauseAllow tradingDry runRun", "ResumeHaltDry runRun"]
    assert told["decisions"][0].tables["Decisions"][1:] == [
        ("carry", "paused", "anna", "a holiday", "Jan 12 08:30"),
        ("value", "halted", "bob", "it lost", "Jan 12 12:00"),
        ("everything", "paused", "carl", "all of it", "Jan 12 12:00"),
    ]
    assert [row[:4] for row in told["under_way"][0].tables["Runs under way"][1:]] == [
        ("momentum", "trade", "compute", "Jan 12 08:30"),
        ("tidy", "script", "waiting", "Jan 12 12:00"),
    ]
    assert told["jobs"][0].tables["Jobs"][1:] == [
        ("morning", "rebalance", "0 9 * * 1-5", "idle", "Jan 12 17:00", "done", "Disable"),
        ("evening", "compute", "close+5m", "paused", "Jan 12 13:30", "failed", "Disable"),
        ("never", "script", "0 0 29 2 *", "disabled", "–", "", "Enable"),
    ]


def test_a_run_that_computes() -> None:
    plan = PlanLine(blocks={"computed": 3, "joined": 2, "cached": 4}, dates=("2016-01-04", "2017-03-01"), assets=1200,
                    tasks=5, seconds=1.5)  # fmt: skip
    wrong = Diagnostic("E202", "there is no asset 'ZZZ'")
    stages = (StageLine("load", 0.25, "done", MORNING),)
    now = replace(GOING, message="under way", who="anna", reason="a wish", findings=(wrong,))
    files = (Artifact("plan.json", 2048),)
    reply = DetailReply(now, "main", "paper", 1, {}, stages, artifacts=files, plan=plan)
    line = '{"at": "2024-01-12T13:30:00.125Z", "level": "warning", "text": "slow", "run": "r9", "rows": 7}'
    told = parts("run", "r9", {run.detail_of("r9"): reply, run.log_of("r9"): LogsReply((line, "plain"))})
    assert told["figures"][0].tiles == {
        "Blocks computed": ("5", "5 tasks, 1.50 s"),
        "Blocks cached": ("4", "need not be computed"),
        "Blocks failed": ("0",),
        "Assets": ("1,200", "to 2017-03-01"),
    }
    assert "compute: 3 of 8 blocks" in told["head"][0].words
    assert told["head"][0].facts["By"] == "anna: a wish"
    assert '<p class="said good">under way</p>' in told["head"][1]
    assert told["files"][0].tables["Files"][1:] == [("plan.json", "2 kB")]
    assert 'value="3" max="8"' in told["head"][1]
    assert told["findings"][0].tables["Findings"][1:] == [("error", "", "E202", "there is no asset 'ZZZ'", "")]
    assert told["log"][0].words == "13:30:00.125 warning  slow rows=7\nplain"
