"""The modules where mistakes cost most, and the tests that are to notice them: each mutant runs those of its area only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_P, _S, _D = "pipelines/sigc_pipelines", "sigc/store", "sigc/daemon"
_A, _B = "sigc/alerts", "pipelines/sigc_pipelines/brokers"
_TRADING = (
    "tests/trading/test_stages.py",
    "tests/trading/test_policies.py",
    "tests/trading/test_outcomes.py",
    "tests/trading/test_limits_in_force.py",
    "tests/trading/test_execute.py",
    "tests/trading/test_stopping.py",
)
_ACTIONS = ("tests/store/test_actions.py",)

# Tests that show how much is borne, or what holds over years: minutes, and nothing of a slip that others don't notice.
LEFT_OUT = (
    "tests/daemon/test_triggers.py::test_daily_jobs_fire_once_a_day_through_four_years",
    "tests/daemon/test_triggers.py::test_daily_jobs_fire_once_a_day_around_every_change_of_every_zone",
)

AREAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        f"{_P}/checks/data.py": ("tests/checks/test_data.py",),
        f"{_P}/checks/orders.py": ("tests/checks/test_orders.py",),
        f"{_P}/checks/weights.py": ("tests/checks/test_weights.py",),
        f"{_P}/sizing.py": ("tests/trading/test_sizing.py",),
        f"{_P}/execute.py": (
            "tests/trading/test_execute.py",
            "tests/trading/test_waits.py",
            "tests/trading/test_slices.py",
        ),
        f"{_P}/finish.py": (
            "tests/trading/test_outcomes.py",
            "tests/trading/test_stopping.py",
            "tests/trading/test_execute.py",
        ),
        f"{_P}/judging.py": ("tests/trading/test_judging.py",),
        f"{_P}/settle.py": ("tests/trading/test_sweep.py", "tests/trading/test_stopping.py"),
        f"{_P}/valuing.py": ("tests/trading/test_valuing.py",),
        f"{_P}/run.py": ("tests/trading/test_run.py", *_TRADING),
        f"{_P}/recover.py": (
            "tests/trading/test_recover.py",
            "tests/trading/test_execute.py",
            "tests/trading/test_stopping.py",
        ),
        f"{_P}/acting.py": ("tests/trading/test_acting.py", "tests/trading/test_actions.py"),
        f"{_P}/renaming.py": ("tests/trading/test_renaming.py",),
        f"{_P}/dollars.py": ("tests/pipelines/test_dollars.py",),
        f"{_P}/as_traded.py": ("tests/pipelines/test_as_traded.py",),
        f"{_P}/restating.py": ("tests/trading/test_restating.py",),
        f"{_P}/causes.py": ("tests/trading/test_walks.py", "tests/trading/test_causes.py"),
        f"{_P}/brokers/paper.py": ("tests/brokers/test_paper.py",),
        f"{_B}/paper_actions.py": ("tests/brokers/test_paper_actions.py",),
        f"{_B}/paper_file.py": ("tests/brokers/test_paper_file.py", "tests/brokers/test_paper.py"),
        f"{_B}/paper_match.py": ("tests/brokers/test_paper.py",),
        f"{_B}/paper_rows.py": ("tests/brokers/test_paper.py", "tests/brokers/test_paper_actions.py"),
        f"{_B}/pooled.py": ("tests/brokers/test_pooled.py",),
        f"{_B}/registry.py": ("tests/brokers/test_registry.py", "tests/brokers/test_pooled.py"),
        f"{_P}/performance.py": ("tests/pipelines/test_metrics.py", "tests/pipelines/test_book.py"),
        f"{_P}/costs.py": ("tests/pipelines/test_book.py",),
        f"{_P}/backtest.py": (
            "tests/pipelines/test_backtest.py",
            "tests/pipelines/test_search.py",
            "tests/trading/test_walks.py",
            "tests/pipelines/test_warm_up.py",
            "tests/pipelines/test_ends.py",
            "tests/pipelines/test_odd_prices.py",
            "tests/pipelines/test_coverage.py",
            "tests/pipelines/test_as_traded.py",
            "tests/trading/test_causes.py",
        ),
        f"{_P}/book.py": (
            "tests/pipelines/test_book.py",
            "tests/pipelines/test_ends.py",
            "tests/pipelines/test_gaps.py",
        ),
        f"{_P}/ends.py": ("tests/pipelines/test_ends.py",),
        f"{_P}/constraints.py": ("tests/pipelines/test_project.py",),
        f"{_P}/project.py": ("tests/pipelines/test_project.py",),
        f"{_P}/quotes.py": ("tests/pipelines/test_quotes.py", "tests/pipelines/test_acceptance.py"),
        f"{_P}/acceptance.py": ("tests/pipelines/test_acceptance.py", "tests/data/test_anomalies.py"),
        f"{_P}/coverage.py": ("tests/pipelines/test_coverage.py",),
        f"{_P}/units.py": ("tests/trading/test_units.py",),
        f"{_P}/decision.py": ("tests/trading/test_decision.py",),
        f"{_P}/rebalance.py": ("tests/pipelines/test_rebalance.py",),
        f"{_D}/misfire.py": ("tests/daemon/test_misfire.py",),
        f"{_D}/schedule.py": ("tests/daemon/test_schedule.py",),
        f"{_D}/triggers.py": ("tests/daemon/test_triggers.py",),
        f"{_D}/timetable.py": ("tests/daemon/test_timetable.py",),
        f"{_S}/orders.py": ("tests/store/test_order_states.py", "tests/store/test_orders.py"),
        f"{_S}/accounts.py": ("tests/store/test_books.py",),
        f"{_S}/books.py": ("tests/store/test_books.py",),
        f"{_S}/verify.py": ("tests/store/test_verify.py",),
        f"{_S}/booking.py": _ACTIONS,
        f"{_S}/effects.py": ("tests/store/test_effects.py", *_ACTIONS),
        f"{_S}/action_rows.py": ("tests/store/test_action_rows.py", *_ACTIONS),
        f"{_S}/action_lists.py": ("tests/store/test_action_lists.py", *_ACTIONS),
        f"{_S}/recount.py": _ACTIONS,
        f"{_S}/price_marks.py": ("tests/store/test_books.py",),
        f"{_S}/outbox/raising.py": ("tests/alerts/test_outbox.py", "tests/alerts/test_rules.py"),
        f"{_S}/outbox/deliveries.py": ("tests/alerts/test_outbox.py", "tests/alerts/test_courier.py"),
        f"{_A}/rules.py": ("tests/alerts/test_each_rule.py", "tests/alerts/test_rules.py"),
        f"{_A}/condition.py": ("tests/alerts/test_condition.py",),
        f"{_A}/sending.py": ("tests/alerts/test_sending.py",),
        f"{_A}/urgency.py": ("tests/alerts/test_sending.py",),
        "sigc/data/declared_actions.py": ("tests/data/test_declared_actions.py",),
        "sigc/plan/halo.py": ("tests/engine/test_plan.py",),
        "sigc/plan/lower.py": (
            "tests/plan/test_lower.py",
            "tests/plan/test_rules.py",
            "tests/engine/test_plan.py",
            "tests/pipelines/test_backtest.py",
            "tests/lang/test_language.py",
        ),
        "sigc/data/dates.py": ("tests/data/test_kinds.py", "tests/data/test_odd_files.py"),
        "sigc/data/frequency.py": ("tests/data/test_kinds.py",),
        "sigc/data/layout.py": (
            "tests/data/test_kinds.py",
            "tests/data/test_odd_files.py",
            "tests/data/test_sources.py",
        ),
        "sigc/data/adjust.py": ("tests/data/test_adjust.py",),
        "sigc/data/anomalies.py": ("tests/data/test_anomalies.py",),
        "sigc/data/convert.py": (
            "tests/data/test_sources.py",
            "tests/data/test_asof.py",
            "tests/data/test_held.py",
            "tests/data/test_anomalies.py",
            "tests/data/test_kinds.py",
            "tests/data/test_stream.py",
        ),
        "sigc/data/factors.py": ("tests/data/test_factor_blocks.py", "tests/data/test_factors.py"),
        "sigc/data/judged.py": ("tests/data/test_judged.py",),
        "sigc/data/masks.py": ("tests/data/test_masks.py",),
        "sigc/data/corporate.py": ("tests/data/test_corporate.py",),
        "sigc/data/corporate_columns.py": ("tests/data/test_corporate.py",),
        "sigc/data/corporate_kinds.py": ("tests/data/test_corporate.py",),
        "sigc/data/corporate_checks.py": ("tests/data/test_corporate_checks.py",),
    }
)
