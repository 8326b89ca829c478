"""The modules where mistakes cost most, and the tests that are to notice them: each mutant runs those of its area only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Tests that show how much is borne, or what holds over years: minutes, and nothing of a slip that others don't notice.
LEFT_OUT = (
    "tests/daemon/test_triggers.py::test_daily_jobs_fire_once_a_day_through_four_years",
    "tests/daemon/test_triggers.py::test_daily_jobs_fire_once_a_day_around_every_change_of_every_zone",
)

# Of a run as a whole: what opens it, takes it through its stages, and closes it.
_RUN = ("tests/trading/test_run.py", "tests/trading/test_policies.py")

AREAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pipelines/sigc_pipelines/backtest/backtest.py": (
            "tests/pipelines/test_accounts.py",
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
        "pipelines/sigc_pipelines/backtest/accounts.py": (
            "tests/pipelines/test_book.py",
            "tests/pipelines/test_ends.py",
            "tests/pipelines/test_gaps.py",
        ),
        "pipelines/sigc_pipelines/backtest/causes.py": ("tests/trading/test_walks.py", "tests/trading/test_causes.py"),
        "pipelines/sigc_pipelines/backtest/costs.py": ("tests/pipelines/test_book.py",),
        "pipelines/sigc_pipelines/backtest/ended_assets.py": ("tests/pipelines/test_ends.py",),
        "pipelines/sigc_pipelines/backtest/performance.py": (
            "tests/pipelines/test_metrics.py",
            "tests/pipelines/test_book.py",
        ),
        "pipelines/sigc_pipelines/brokers/paper.py": ("tests/brokers/test_paper.py",),
        "pipelines/sigc_pipelines/brokers/paper_actions.py": ("tests/brokers/test_paper_actions.py",),
        "pipelines/sigc_pipelines/brokers/paper_file.py": (
            "tests/brokers/test_paper_file.py",
            "tests/brokers/test_paper.py",
        ),
        "pipelines/sigc_pipelines/brokers/paper_match.py": ("tests/brokers/test_paper.py",),
        "pipelines/sigc_pipelines/brokers/paper_rows.py": (
            "tests/brokers/test_paper.py",
            "tests/brokers/test_paper_actions.py",
        ),
        "pipelines/sigc_pipelines/brokers/pooled.py": ("tests/brokers/test_pooled.py",),
        "pipelines/sigc_pipelines/brokers/registry.py": (
            "tests/brokers/test_registry.py",
            "tests/brokers/test_pooled.py",
        ),
        "pipelines/sigc_pipelines/checks/data.py": ("tests/checks/test_data.py",),
        "pipelines/sigc_pipelines/checks/orders.py": ("tests/checks/test_orders.py",),
        "pipelines/sigc_pipelines/checks/weights.py": ("tests/checks/test_weights.py",),
        "pipelines/sigc_pipelines/live/due_actions.py": (
            "tests/trading/test_acting.py",
            "tests/trading/test_actions.py",
        ),
        "pipelines/sigc_pipelines/live/apply_fills.py": (
            "tests/trading/test_sweep.py",
            "tests/trading/test_stopping.py",
        ),
        "pipelines/sigc_pipelines/live/decision.py": ("tests/trading/test_decision.py",),
        "pipelines/sigc_pipelines/live/send_orders.py": (
            "tests/trading/test_execute.py",
            "tests/trading/test_waits.py",
            "tests/trading/test_holding.py",
            "tests/trading/test_halts.py",
            "tests/trading/test_account.py",
            "tests/trading/test_windows.py",
        ),
        "pipelines/sigc_pipelines/live/slices.py": ("tests/trading/test_respread.py",),
        "pipelines/sigc_pipelines/live/finish.py": (
            "tests/trading/test_outcomes.py",
            "tests/trading/test_stopping.py",
            "tests/trading/test_execute.py",
        ),
        "pipelines/sigc_pipelines/live/judging.py": ("tests/trading/test_judging.py",),
        "pipelines/sigc_pipelines/live/recover.py": (
            "tests/trading/test_recover.py",
            "tests/trading/test_execute.py",
            "tests/trading/test_stopping.py",
            "tests/trading/test_windows.py",
        ),
        "pipelines/sigc_pipelines/live/rehearsal.py": ("tests/trading/test_rehearsal.py",),
        "pipelines/sigc_pipelines/live/rename_asset.py": ("tests/trading/test_renaming.py",),
        "pipelines/sigc_pipelines/live/open_run.py": ("tests/trading/test_opening.py",),
        "pipelines/sigc_pipelines/live/run.py": (
            *_RUN,
            "tests/trading/test_stopping.py",
            "tests/trading/test_stages.py",
            "tests/trading/test_deadlines.py",
        ),
        "pipelines/sigc_pipelines/live/sizing.py": ("tests/trading/test_sizing.py",),
        "pipelines/sigc_pipelines/live/valuing.py": (
            "tests/trading/test_valuing.py",
            "tests/trading/test_valuing_actions.py",
            "tests/trading/test_book_moves.py",
        ),
        "pipelines/sigc_pipelines/live/account_judge.py": (
            "tests/trading/test_judging.py",
            "tests/trading/test_account.py",
            "tests/trading/test_accounts.py",
        ),
        "pipelines/sigc_pipelines/live/move_books.py": ("tests/trading/test_book_moves.py",),
        "pipelines/sigc_pipelines/live/order_answers.py": ("tests/trading/test_order_answers.py",),
        "pipelines/sigc_pipelines/live/order_window.py": (
            "tests/trading/test_order_window.py",
            "tests/trading/test_windows.py",
        ),
        "pipelines/sigc_pipelines/live/reversals.py": ("tests/trading/test_reversals.py",),
        "pipelines/sigc_pipelines/live/scratch.py": ("tests/trading/test_scratch.py",),
        "pipelines/sigc_pipelines/live/slice_times.py": ("tests/trading/test_slice_times.py",),
        "pipelines/sigc_pipelines/live/stage_thread.py": ("tests/trading/test_stage_thread.py",),
        "pipelines/sigc_pipelines/live/tripping.py": ("tests/trading/test_tripping.py",),
        "pipelines/sigc_pipelines/live/unresolved.py": (
            "tests/trading/test_execute.py",
            "tests/trading/test_recover.py",
        ),
        "pipelines/sigc_pipelines/stopping/breaker_closing.py": (
            "tests/trading/test_breaker_closing.py",
            "tests/trading/test_breakers.py",
        ),
        "pipelines/sigc_pipelines/stopping/cancel_open.py": (
            "tests/trading/test_stopping.py",
            "tests/trading/test_getting_out.py",
        ),
        "pipelines/sigc_pipelines/stopping/closing_out.py": (
            "tests/trading/test_closing_out.py",
            "tests/trading/test_getting_out.py",
        ),
        "pipelines/sigc_pipelines/stopping/halts.py": (
            "tests/trading/test_waits.py",
            "tests/trading/test_halts.py",
        ),
        "pipelines/sigc_pipelines/stopping/close_book.py": ("tests/trading/test_close_book.py",),
        "pipelines/sigc_pipelines/stopping/kill_switch.py": (
            "tests/trading/test_kill_switch.py",
            "tests/trading/test_closing_out.py",
        ),
        "pipelines/sigc_pipelines/stopping/live_start.py": ("tests/trading/test_live_start.py",),
        "pipelines/sigc_pipelines/portfolio/constraints.py": ("tests/pipelines/test_project.py",),
        "pipelines/sigc_pipelines/portfolio/nearest_book.py": ("tests/pipelines/test_project.py",),
        "pipelines/sigc_pipelines/portfolio/rebalance.py": ("tests/pipelines/test_rebalance.py",),
        "pipelines/sigc_pipelines/prices/prior_acceptance.py": (
            "tests/pipelines/test_acceptance.py",
            "tests/data/test_anomalies.py",
        ),
        "pipelines/sigc_pipelines/prices/as_traded.py": ("tests/pipelines/test_as_traded.py",),
        "pipelines/sigc_pipelines/prices/coverage.py": ("tests/pipelines/test_coverage.py",),
        "pipelines/sigc_pipelines/prices/dollars.py": ("tests/pipelines/test_dollars.py",),
        "pipelines/sigc_pipelines/prices/quotes.py": (
            "tests/pipelines/test_quotes.py",
            "tests/pipelines/test_acceptance.py",
        ),
        "pipelines/sigc_pipelines/prices/restated_prices.py": ("tests/trading/test_restating.py",),
        "pipelines/sigc_pipelines/prices/units.py": ("tests/trading/test_units.py",),
        "pipelines/sigc_pipelines/stages/audit.py": (*_RUN, "tests/trading/test_stages.py"),
        "pipelines/sigc_pipelines/stages/compute.py": _RUN,
        "pipelines/sigc_pipelines/stages/execute.py": (*_RUN, "tests/trading/test_reversals.py"),
        "pipelines/sigc_pipelines/stages/load.py": ("tests/trading/test_loading.py", *_RUN),
        "pipelines/sigc_pipelines/stages/run_context.py": _RUN,
        "pipelines/sigc_pipelines/stages/validate.py": _RUN,
        "sigc/alerts/condition.py": ("tests/alerts/test_condition.py",),
        "sigc/alerts/rules.py": ("tests/alerts/test_each_rule.py", "tests/alerts/test_rules.py"),
        "sigc/alerts/sending.py": ("tests/alerts/test_sending.py",),
        "sigc/alerts/urgency.py": ("tests/alerts/test_sending.py",),
        "sigc/daemon/timetable.py": ("tests/daemon/test_timetable.py",),
        "sigc/data/actions/action_files.py": ("tests/data/test_corporate.py",),
        "sigc/data/actions/adjust.py": ("tests/data/test_adjust.py",),
        "sigc/data/actions/corporate_checks.py": ("tests/data/test_corporate_checks.py",),
        "sigc/data/actions/corporate_columns.py": ("tests/data/test_corporate.py",),
        "sigc/data/actions/corporate_kinds.py": ("tests/data/test_corporate.py",),
        "sigc/data/actions/declared_actions.py": ("tests/data/test_declared_actions.py",),
        "sigc/data/actions/factors.py": ("tests/data/test_factor_blocks.py", "tests/data/test_factors.py"),
        "sigc/data/actions/judged.py": ("tests/data/test_judged.py",),
        "sigc/data/anomalies.py": ("tests/data/test_anomalies.py",),
        "sigc/data/convert.py": ("tests/data/test_convert.py", "tests/data/test_convert_folders.py"),
        "sigc/data/dates/frequency.py": ("tests/data/test_kinds.py",),
        "sigc/data/dates/stamps.py": ("tests/data/test_kinds.py", "tests/data/test_odd_files.py"),
        "sigc/data/formats/layout.py": (
            "tests/data/test_kinds.py",
            "tests/data/test_odd_files.py",
            "tests/data/test_sources.py",
        ),
        "sigc/data/masks.py": ("tests/data/test_masks.py",),
        "sigc/data/spans.py": ("tests/data/test_convert_folders.py",),
        "sigc/plan/halo.py": ("tests/engine/test_plan.py",),
        "sigc/plan/lower.py": (
            "tests/plan/test_lower.py",
            "tests/plan/test_rules.py",
            "tests/engine/test_plan.py",
            "tests/pipelines/test_backtest.py",
            "tests/lang/test_language.py",
        ),
        "sigc/schedule/misfire.py": ("tests/daemon/test_misfire.py",),
        "sigc/schedule/step.py": ("tests/daemon/test_schedule.py",),
        "sigc/schedule/triggers.py": ("tests/daemon/test_triggers.py",),
        "sigc/store/audit/verify.py": ("tests/store/test_verify.py",),
        "sigc/store/ledger/accounts.py": ("tests/store/test_books.py",),
        "sigc/store/ledger/action_lists.py": ("tests/store/test_action_lists.py", "tests/store/test_actions.py"),
        "sigc/store/ledger/action_rows.py": ("tests/store/test_action_rows.py", "tests/store/test_actions.py"),
        "sigc/store/ledger/action_booking.py": ("tests/store/test_actions.py",),
        "sigc/store/ledger/books.py": ("tests/store/test_books.py",),
        "sigc/store/ledger/action_effects.py": ("tests/store/test_effects.py", "tests/store/test_actions.py"),
        "sigc/store/ledger/orders.py": ("tests/store/test_order_states.py", "tests/store/test_orders.py"),
        "sigc/store/ledger/price_marks.py": ("tests/store/test_books.py",),
        "sigc/store/history/lots.py": ("tests/store/test_lots.py",),
        "sigc/store/history/statement.py": ("tests/store/test_statement.py",),
        "sigc/store/backup.py": ("tests/store/test_backup.py",),
        "sigc/store/ledger/proof.py": ("tests/store/test_proof.py",),
        "sigc/store/ledger/replay.py": ("tests/store/test_proof.py", "tests/store/test_actions.py"),
        "sigc/store/outbox/deliveries.py": ("tests/alerts/test_outbox.py", "tests/alerts/test_courier.py"),
        "sigc/store/outbox/raise_alerts.py": ("tests/alerts/test_outbox.py", "tests/alerts/test_rules.py"),
        "pipelines/sigc_pipelines/brokers/alpaca/answers.py": (
            "tests/brokers/test_alpaca_answers.py",
            "tests/brokers/test_alpaca_client.py",
        ),
        "pipelines/sigc_pipelines/brokers/alpaca/broker.py": (
            "tests/brokers/test_alpaca_client.py",
            "tests/brokers/test_alpaca.py",
        ),
        "pipelines/sigc_pipelines/brokers/alpaca/client.py": (
            "tests/brokers/test_alpaca_client.py",
            "tests/brokers/test_alpaca.py",
        ),
        "pipelines/sigc_pipelines/brokers/alpaca/listing.py": (
            "tests/brokers/test_alpaca_answers.py",
            "tests/brokers/test_alpaca_client.py",
        ),
        "pipelines/sigc_pipelines/brokers/alpaca/opening.py": (
            "tests/brokers/test_alpaca_client.py",
            "tests/brokers/test_alpaca.py",
        ),
        "pipelines/sigc_pipelines/brokers/alpaca/pace.py": ("tests/brokers/test_alpaca_answers.py",),
        "pipelines/sigc_pipelines/brokers/alpaca/reports.py": (
            "tests/brokers/test_alpaca_answers.py",
            "tests/brokers/test_alpaca_client.py",
        ),
        "pipelines/sigc_pipelines/brokers/files/answers.py": (
            "tests/brokers/test_folders.py",
            "tests/brokers/test_folder_contract.py",
        ),
        "pipelines/sigc_pipelines/brokers/files/broker.py": (
            "tests/brokers/test_folders.py",
            "tests/brokers/test_folder_contract.py",
        ),
        "pipelines/sigc_pipelines/brokers/files/columns.py": (
            "tests/brokers/test_folders.py",
            "tests/brokers/test_folder_contract.py",
        ),
        "pipelines/sigc_pipelines/brokers/files/cursor.py": (
            "tests/brokers/test_folders.py",
            "tests/brokers/test_folder_contract.py",
        ),
        "pipelines/sigc_pipelines/brokers/files/inbox.py": (
            "tests/brokers/test_folders.py",
            "tests/brokers/test_folder_contract.py",
        ),
        "pipelines/sigc_pipelines/brokers/files/opening.py": (
            "tests/brokers/test_folders.py",
            "tests/brokers/test_folder_contract.py",
        ),
        "pipelines/sigc_pipelines/brokers/files/outbox.py": (
            "tests/brokers/test_folders.py",
            "tests/brokers/test_folder_contract.py",
        ),
        "pipelines/sigc_pipelines/checks/account.py": ("tests/checks/test_account.py",),
        "pipelines/sigc_pipelines/reconcile/adopt.py": (
            "tests/reconcile/test_books.py",
            "tests/reconcile/test_differences.py",
        ),
        "pipelines/sigc_pipelines/reconcile/causes.py": ("tests/reconcile/test_causes.py",),
        "pipelines/sigc_pipelines/reconcile/differences.py": (
            "tests/reconcile/test_differences.py",
            "tests/reconcile/test_books.py",
        ),
        "pipelines/sigc_pipelines/reconcile/evidence.py": (
            "tests/reconcile/test_evidence.py",
            "tests/reconcile/test_books.py",
            "tests/reconcile/test_differences.py",
        ),
        "sigc/host/kill_file.py": ("tests/daemon/test_kill_file.py",),
        "sigc/store/history/breaker_standing.py": ("tests/store/test_breakers.py",),
        "sigc/store/history/breaker_values.py": ("tests/store/test_breaker_values.py",),
        "sigc/store/ledger/adjustments.py": ("tests/store/test_adjustments.py",),
        "sigc/store/ledger/breakers.py": ("tests/store/test_breakers.py",),
        "sigc/store/ledger/control.py": ("tests/store/test_breakers.py",),
        "sigc/store/ledger/fenced.py": ("tests/store/test_waiting.py",),
        "sigc/store/ledger/waiting.py": ("tests/store/test_waiting.py",),
    }
)
