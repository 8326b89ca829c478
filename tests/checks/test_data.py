"""Checks of data: each at its limit, under each policy; and what becomes of each asset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sigc.config.settings import SafetySettings
from sigc.errors import Severity
from sigc_pipelines.checks.data import DataVerdict, Treatment, judge_data
from sigc_pipelines.checks.view import DataView, SourceView

NAN = float("nan")
NAMES = tuple(f"A{i}" for i in range(100))


def view(**changed: Any) -> DataView:
    """A hundred assets that went from 100 to 101 on their usual volume; changes of arrays are by place."""
    arrays = {
        "prices": np.full(100, 101.0),
        "previous": np.full(100, 100.0),
        "volumes": np.full(100, 1000.0),
        "mean_volumes": np.full(100, 1000.0),
    }
    plain: dict[str, Any] = {"as_of": "2024-01-03", "newest": "2024-01-03", "rows": 250}
    for name, value in changed.items():
        if name in arrays and value is not None:
            for place, number in value.items():
                arrays[name][place] = number
        else:
            plain[name] = value
    return DataView(names=NAMES, **(arrays | plain))


def judged(of: DataView, wanted: tuple[str, ...] = NAMES, held: tuple[str, ...] = (), **limits: Any) -> DataVerdict:
    return judge_data(of, wanted, held, SafetySettings.model_validate(limits))


def checks(verdict: DataVerdict) -> list[str]:
    return [f.check for f in verdict.findings]


def test_good_data_are_traded_on() -> None:
    verdict = judged(view(), held=("A7",))
    assert verdict.findings == ()
    assert not verdict.is_refused
    assert not verdict.use_cache
    assert verdict.treatments == dict.fromkeys(NAMES, Treatment.TRADE)


@pytest.mark.parametrize("check", ["fresh", "rows", "complete", "anomalies"])
@pytest.mark.parametrize("policy", ["halt", "hold", "use_cache", "alert"])
def test_policies(check: str, policy: str) -> None:
    broken = {
        "fresh": view(newest="2024-01-02"),
        "rows": view(rows=1),
        "complete": view(prices=dict.fromkeys(range(6), NAN), previous=dict.fromkeys(range(6), NAN)),
        "anomalies": view(prices=dict.fromkeys(range(1, 8), 10.0)),
    }[check]
    setting = "on_stale_data" if check == "fresh" else "on_data_error"
    others: dict[str, Any] = {"on_stale_data": "alert", "on_data_error": "alert", "on_missing_symbol": "alert"}
    verdict = judged(broken, **(others | {setting: policy}))
    assert check in checks(verdict)
    weight = next(f.severity for f in verdict.findings if f.check == check)
    assert weight is (Severity.ERROR if policy == "halt" else Severity.WARNING)
    assert verdict.is_refused is (policy == "halt")
    assert verdict.use_cache is (policy == "use_cache")
    assert set(verdict.treatments.values()) == {Treatment.HOLD if policy == "hold" else Treatment.TRADE}


@pytest.mark.parametrize(
    ("policy", "treatment"),
    [("halt", Treatment.TRADE), ("hold", Treatment.HOLD), ("exclude", Treatment.EXCLUDE), ("alert", Treatment.TRADE)],
)
@pytest.mark.parametrize("price", [NAN, 0.0, -1.0, float("inf")])
def test_assets_without_a_price(policy: str, treatment: Treatment, price: float) -> None:
    odd = view(prices={3: price, 4: NAN}, previous={3: NAN, 4: NAN})
    verdict = judged(odd, wanted=("A1", "A3"), held=("A2",), on_missing_symbol=policy, max_missing_pct=1.0)
    assert checks(verdict) == ["missing"]
    assert verdict.findings[0].assets == ("A3",)  # A4 is neither wanted nor held
    assert verdict.is_refused is (policy == "halt")
    assert verdict.treatments == {"A1": Treatment.TRADE, "A2": Treatment.TRADE, "A3": treatment}


def test_an_asset_that_the_data_do_not_have_is_missing() -> None:
    verdict = judged(view(), wanted=("A1",), held=("ZZZ",), max_missing_pct=0.5)
    assert verdict.findings[0].assets == ("ZZZ",)
    assert verdict.treatments["ZZZ"] is Treatment.HOLD


def test_keeping_all_is_more_than_excluding_one() -> None:
    verdict = judged(
        view(newest="2024-01-02", prices={3: NAN}),
        on_stale_data="hold",
        on_missing_symbol="exclude",
        max_anomalies_pct=1.0,
    )
    assert set(verdict.treatments.values()) == {Treatment.HOLD}


@pytest.mark.parametrize(("missing", "is_found"), [(4, False), (5, False), (6, True)])
def test_completeness_at_its_limit(missing: int, is_found: bool) -> None:
    gone = view(prices=dict.fromkeys(range(missing), NAN), previous=dict.fromkeys(range(missing), NAN))
    verdict = judged(gone, max_missing_pct=0.05)
    assert ("complete" in checks(verdict)) is is_found
    assert "missing" in checks(verdict)
    assert checks(judged(gone, wanted=("A99",), max_missing_pct=0.0)) == []  # of what is wanted or held
    assert judged(view(), wanted=()).findings == ()


@pytest.mark.parametrize(("number", "is_found"), [(1, True), (2, False), (3, False)])
def test_rows_at_their_limit(number: int, is_found: bool) -> None:
    assert ("rows" in checks(judged(view(rows=number), min_rows=2))) is is_found


@pytest.mark.parametrize(
    ("changed", "is_odd"),
    [
        ({"prices": {5: 150.0}}, False),
        ({"prices": {5: 150.1}}, True),
        ({"prices": {5: 50.0}}, False),
        ({"prices": {5: 49.9}}, True),
        ({"volumes": {5: 10_000.0}}, False),
        ({"volumes": {5: 10_001.0}}, True),
        ({"volumes": {5: 0.0}}, False),
        ({"volumes": {5: -1.0}}, True),
        ({"volumes": {5: NAN}}, True),
        ({"mean_volumes": {5: 0.0}}, True),
        ({"mean_volumes": {5: 0.0}, "volumes": {5: 0.0}}, False),
        ({"mean_volumes": {5: NAN}}, False),  # nothing to compare with yet
        ({"previous": {5: NAN}}, True),  # a gap
        ({"volumes": None, "mean_volumes": None}, False),
        ({"volumes": None}, False),
        ({"mean_volumes": None}, False),
    ],
)
def test_anomalies_at_their_limits(changed: dict[str, Any], is_odd: bool) -> None:
    few = judged(view(**changed), max_anomalies_pct=0.01)
    assert [c for c in checks(few) if c != "splits"] == (["unusual"] if is_odd else [])
    assert not few.is_refused
    many = judged(view(**changed), max_anomalies_pct=0.0099)
    assert [c for c in checks(many) if c != "splits"] == (["anomalies"] if is_odd else [])
    assert many.is_refused is is_odd
    if is_odd:
        assert many.findings[0].assets == ("A5",)
        assert many.findings[0].value == 0.01


@pytest.mark.parametrize("policy", ["halt", "hold", "use_cache", "alert"])
def test_the_future_is_an_error_under_every_policy(policy: str) -> None:
    verdict = judged(view(newest="2024-01-04"), on_stale_data=policy, on_data_error=policy)
    assert checks(verdict) == ["causal"]
    assert verdict.is_refused


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01"])
def test_a_date_that_is_none_fails(text: str) -> None:
    for broken in (view(newest=text), view(as_of=text)):
        verdict = judged(broken, on_stale_data="alert")
        assert set(checks(verdict)) == {"causal", "fresh"}
        assert verdict.is_refused


def test_arrays_that_do_not_fit_fail() -> None:
    odd = DataView("2024-01-03", "2024-01-03", 10, NAMES, np.ones(3), np.ones(100))
    verdict = judged(odd)
    assert verdict.is_refused
    assert {"complete", "anomalies"} <= set(checks(verdict))


@pytest.mark.parametrize("policy", ["halt", "hold", "use_cache", "alert"])
def test_a_policy_acts_on_what_is_found_alone(policy: str) -> None:
    on_missing = "exclude" if policy == "use_cache" else policy
    verdict = judged(view(), on_stale_data=policy, on_data_error=policy, on_missing_symbol=on_missing)
    assert verdict == judged(view())


def test_findings_say_how_much_and_of_what() -> None:
    (stale,) = judged(view(newest="2023-12-29"), on_stale_data="alert").findings
    assert (stale.value, stale.limit) == (5.0, 0.0)  # calendar days
    assert stale.message == "the newest row is of 2023-12-29; the run is as of the session 2024-01-03"
    (gone,) = judged(view(prices={1: NAN}), wanted=("A1", "A2"), max_missing_pct=0.5).findings[:1]
    assert (gone.message, gone.value, gone.limit) == ("no price of A1", 1.0, 0.0)
    (odd,) = judged(view(prices={0: 160.0}, previous={1: 0.0}, volumes={2: 20_000.0})).findings
    assert odd.message == "A0 has a return of 60 %, A1 has a gap, A2 has 20 times its average volume"
    (many,) = judged(view(previous=dict.fromkeys(range(7), NAN)), max_anomalies_pct=0.07).findings
    assert many.message == "A0 has a gap, A1 has a gap, A2 has a gap, A3 has a gap, A4 has a gap and 2 more"


def test_odd_data_that_are_good() -> None:
    pennies = view(prices=dict.fromkeys(range(100), 0.0002), previous=dict.fromkeys(range(100), 0.0002))
    assert judged(pennies).findings == ()
    assert judged(view(newest="2024-01-03T00:00:00.000000000")).findings == ()
    nothing = view(prices=dict.fromkeys(range(100), NAN), previous=dict.fromkeys(range(100), NAN))
    assert judged(nothing, wanted=(), max_anomalies_pct=0.0).findings == ()  # of none, none is odd
    (quiet,) = judged(view(volumes={5: 0.0}), max_volume_ratio=0.5, max_anomalies_pct=1.0).findings
    assert quiet.assets == tuple(sorted({*NAMES} - {"A5"}))  # no volume is little, not much


def rows(**changed: Any) -> DataView:
    """The same, with what the last row was before acceptance, and sources."""
    base = view(**{k: v for k, v in changed.items() if k in ("prices", "previous", "volumes", "as_of", "newest")})
    raw, repeated = base.prices.copy(), np.zeros(100, bool)
    for place, number in changed.get("raw", {}).items():
        raw[place] = number
        base.prices[place] = NAN
    repeated[: changed.get("repeated", 0)] = True
    more = {k: changed[k] for k in ("sources", "ended") if k in changed}
    return replace(base, raw=raw, before=np.full(100, 100.0), repeated=repeated, **more)


@pytest.mark.parametrize(
    ("policy", "treatment"),
    [("halt", Treatment.TRADE), ("hold", Treatment.HOLD), ("exclude", Treatment.EXCLUDE), ("alert", Treatment.TRADE)],
)
@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ({"raw": {3: 1000.0}}, "A3 has a return of 900 %, as of a split 1:10 that no action declares"),
        ({"raw": {3: 250.0}}, "A3 has a return of 150 %, that is not confirmed yet"),
        ({"repeated": 4}, "A3 has the row of the session before once more"),
        ({"volumes": {3: 0.0}}, "A3 has no volume"),
    ],
)
def test_a_bad_number_is_treated_by_policy(policy: str, treatment: Treatment, odd: dict[str, Any], told: str) -> None:
    verdict = judged(rows(**odd), wanted=("A3", "A50"), held=("A60",), on_anomaly=policy)
    (found,) = [f for f in verdict.findings if f.check == "unaccepted"]
    assert (found.message, found.assets) == (told, ("A3",))
    assert found.severity is (Severity.ERROR if policy == "halt" else Severity.WARNING)
    assert verdict.treatments == {"A3": treatment, "A50": Treatment.TRADE, "A60": Treatment.TRADE}
    assert verdict.odd == ({"A3"} if policy == "hold" else set())
    assert "missing" not in checks(verdict)  # there is a price, only none that is accepted


def test_one_bad_number_is_no_share_of_a_small_book() -> None:
    assert not judged(rows(raw={3: 1000.0}), wanted=("A3",)).is_refused
    assert judged(rows(raw={3: 1000.0}), wanted=("A3",), max_anomalies_pct=0.0).is_refused  # somebody wrote it
    assert not judged(view(prices={3: NAN}, previous={3: NAN}), wanted=("A3",)).is_refused
    assert judged(view(prices={3: NAN}, previous={3: NAN}), wanted=("A3",), max_missing_pct=0.05).is_refused


@pytest.mark.parametrize(("number", "is_stale"), [(50, False), (51, True)])
def test_most_assets_that_repeat_are_stale_data(number: int, is_stale: bool) -> None:
    verdict = judged(rows(repeated=number), on_anomaly="alert")
    assert ("repeats" in checks(verdict)) is is_stale is verdict.is_refused
    assert not judged(rows(repeated=number), on_anomaly="alert", max_repeated_pct=0.51).is_refused


@pytest.mark.parametrize(("lost", "is_refused"), [(20, False), (21, True)])
def test_a_universe_that_shrinks(lost: int, is_refused: bool) -> None:
    gone = view(prices=dict.fromkeys(range(lost), NAN))
    off: dict[str, Any] = {"max_anomalies_pct": 1.0, "max_missing_pct": 1.0}
    assert judged(gone, wanted=("A99",), **off).is_refused is is_refused
    assert not judged(gone, wanted=("A99",), max_universe_change=0.21, **off).is_refused
    assert not judged(replace(gone, ended=frozenset({"A0", "A1"})), wanted=("A99",), **off).is_refused
    few = DataView("2024-01-03", "2024-01-03", 9, NAMES[:4], np.full(4, NAN), np.full(4, 100.0))
    verdict = judged(few, wanted=(), **off)
    assert not verdict.is_refused
    assert (
        verdict.findings[-1].message
        == "max_universe_change and max_coverage_drop are off: there are 4 assets, and 5 are needed"
    )


@pytest.mark.parametrize("is_read", [True, False])
def test_sources_that_are_late_or_lack_values(is_read: bool) -> None:
    def source(**changed: Any) -> SourceView:
        base = SourceView("score", is_read, False, 100, 100, 100.0, "2024-01-03", False)
        return replace(base, **changed)

    assert judged(rows(sources=(source(values=80),))).findings == ()
    for broken, check, text in (
        (
            source(values=79),
            "covered",
            "79 assets of 'score' have a value on 2024-01-03, where 100 had one in the mean",
        ),
        (source(is_late=True, values=0, newest="2024-01-02"), "late", "'score', the newest values of 2024-01-02"),
        (source(is_late=True, values=0, newest=""), "late", "'score', no values"),
    ):
        verdict = judged(rows(sources=(broken,)))
        assert checks(verdict) == [check if is_read else "unread"]
        assert verdict.is_refused is is_read
        assert text in verdict.findings[0].message
    assert judged(rows(sources=(source(values=79),)), max_coverage_drop=0.21).findings == ()
    assert judged(rows(sources=(source(values=0, mean=4.0, assets=4),))).findings == ()


@pytest.mark.parametrize(
    ("price", "is_told"), [(50.0, True), (66.7, True), (150.0, True), (52.0, False), (149.0, False)]
)
def test_returns_as_of_a_small_split_are_told(price: float, is_told: bool) -> None:
    verdict = judged(rows(prices={7: price}), max_anomalies_pct=1.0)
    assert ("splits" in checks(verdict)) is is_told
    assert not verdict.is_refused
