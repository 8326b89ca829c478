"""What a run takes in before it computes: whose differences a person accepts, and what a dry run looks at all the same."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from sigc.store.ledger.records import BookKey, Outcome, RunKind, Side, StageName
from sigc_pipelines.brokers.protocol import OrderRequest
from tests.trading.script import D1, D2, D3, free, scene, written

D = Decimal


def test_who_accepts_differences_takes_nothing_of_another_book(tmp_path: Path) -> None:
    """Ten shares of B are too many, which the other strategy alone holds: its person may say that they are its own."""
    one = written(tmp_path, {"A": 0.1, "B": 0.0}, name="one")
    two = written(tmp_path, {"A": 0.0, "B": 0.1}, name="two")
    said = {"accepts_differences": True, "who": "ann", "reason": "mine"}
    with scene(one, D1) as desk:
        assert desk.run("1").run.outcome is Outcome.DONE
        assert two.run(desk.trading, "2").run.outcome is Outcome.DONE
        desk.paper.submit(OrderRequest("by hand", "B", Side.BUY, D(10)))
    with scene(one, D2) as desk:
        ended = desk.run("3", **said)
        assert (ended.run.outcome, [d.code for d in ended.problems]) == (Outcome.FAILED, ["E602"])
        assert "B: ledger 1000, broker 1010" in ended.run.message
        assert desk.held(BookKey("one", "main")) == {"A": D(1000)}
        assert two.run(desk.trading, "4", **said).run.outcome is Outcome.DONE
        assert desk.held(BookKey("two", "main")) == {"B": D(1010)}
        assert desk.run("5").run.outcome is Outcome.UNCHANGED


def test_a_dry_run_shows_what_a_tripped_breaker_holds_back(tmp_path: Path) -> None:
    """A tenth was lost at the close of D3: no order leaves, and who looks sees which would."""
    floor = written(
        tmp_path,
        {"A": [1.0, 1.0, 0.5]},
        {"A": [100.0, 100.0, 90.0]},
        config=free(safety={"max_position": 2.0, "daily_loss": 0.05}),
    )
    for day in (D1, D2):
        with scene(floor, day) as desk:
            assert desk.run(day).run.outcome.is_success
    with scene(floor, D3) as desk:
        assert desk.run("trade").run.outcome is Outcome.REFUSED
        dry = desk.run("dry", kind=RunKind.DRY)
        assert dry.run.outcome is Outcome.DONE
        # Half of the million that the book began with is 5,555 shares at 90; it holds 10,000.
        assert [(o.asset, o.side, o.quantity) for o in dry.orders] == [("A", Side.SELL, D(4445))]
        (loaded,) = [s for s in dry.stages if s.name is StageName.LOAD]
        told = [f.message for f in loaded.findings if f.check == "breaker"]
        assert [text[:50] for text in told] == ["the breaker daily_loss has tripped (halt_trading):"]
        assert len(desk.booked()) == 1


def test_a_dry_run_looks_at_a_split_that_a_run_of_another_book_has_booked(tmp_path: Path) -> None:
    """45 at 20,000 in each book; the first one's run books 4:1 for both, the second is valued before it still."""
    actions = f"date,ticker,kind,ratio\n{D3},A,split,4\n"
    prices = {"A": [20_000.0, 20_000.0, 5_000.0]}
    one = written(tmp_path, {"A": 0.9}, prices, actions=actions, name="one")
    two = written(tmp_path, {"A": 0.9}, prices, actions=actions, name="two")
    for day in (D1, D2):
        with scene(one, day) as desk:
            desk.run(f"one-{day}")
            two.run(desk.trading, f"two-{day}")
    with scene(one, D3) as desk:
        assert desk.run("real").run.outcome is Outcome.UNCHANGED
        assert desk.held(BookKey("two", "main")) == {"A": D(180)}
        assert two.run(desk.trading, "dry", kind=RunKind.DRY).orders == ()
        assert two.run(desk.trading, "two").run.outcome is Outcome.UNCHANGED
