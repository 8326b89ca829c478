"""Settings that no other test names, each by what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigc.config.check import LoadedConfig, load_config
from sigc.config.settings import Config
from sigc.daemon.configured.configured import configured, examine
from sigc.daemon.lifecycle.start import log_settings
from sigc.daemon.page import PageOrder
from sigc.errors import SigcError
from sigc.host.logs import LogSettings
from sigc.lang.codes import CODES
from sigc.ops import jit
from sigc_cli.assembly.daemon import page_command
from sigc_cli.main import cli
from sigc_pipelines.assembly.parts import Choices, workspace


def read(folder: Path, text: str) -> LoadedConfig:
    path = folder / "sigc.yaml"
    path.write_text(text)
    return load_config(path, {}, None, examine)


def test_log_settings_are_those_of_the_log(tmp_path: Path) -> None:
    found = read(tmp_path, "daemon: {log_level: warn, log_format: text, log_max_mb: 7, log_files: 2}").config
    assert log_settings(found, tmp_path, False) == LogSettings(None, "warn", "text", 7_000_000, 2)
    assert log_settings(Config(), tmp_path, True) == LogSettings(tmp_path / "daemon.log", "info", "json", 50_000_000, 5)


def test_strategies_may_be_run_from_more_folders(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    own = tmp_path / "own"
    own.mkdir()
    plain = configured(read(own, "daemon: {}")).roots
    assert plain == (own.resolve(),)
    more = configured(read(own, f"daemon: {{strategy_roots: [{elsewhere}, below]}}")).roots
    assert set(more) == {own, own / "below", elsewhere}


@pytest.mark.parametrize("skipped", [True, False])
def test_holidays_are_skipped_by_jobs_that_say_nothing_else(tmp_path: Path, skipped: bool) -> None:
    loaded = read(
        tmp_path,
        f"schedule: {{skip_holidays: {str(skipped).lower()}, jobs: ["
        '{name: a, kind: compute, strategy: s, trigger: "0 9 * * *"},'
        '{name: b, kind: compute, strategy: s, trigger: "0 9 * * *", skip_holidays: true}]}\n'
        "strategies: [{name: s, file: s.sig}]",
    )
    assert {job.name: job.skip_holidays for job in configured(loaded).jobs} == {"a": skipped, "b": True}


def test_the_page_is_told_how_long_a_login_lasts_and_where_it_is_reached(tmp_path: Path) -> None:
    text = "daemon: {dashboard: {login_hours: 1.5, origins: ['https://a.example', 'https://b.example']}}"
    settings = read(tmp_path, text).config.daemon.dashboard
    words = page_command(PageOrder("d", "127.0.0.1:1", None, 3, 4, settings))
    assert words[words.index("--hours") + 1] == "1.5"
    assert [words[at + 1] for at, word in enumerate(words) if word == "--origin"] == list(settings.origins)


def test_so_many_urls_are_read_at_once(site_cache: Callable[[str], Config]) -> None:
    with workspace(site_cache("connections: {data_pool_size: 3}"), Choices(cache=False)) as found:
        assert found.connections.most == 3


def test_a_cache_that_others_may_write_is_believed_where_it_is_trusted(
    tmp_path: Path, site_cache: Callable[[str], Config]
) -> None:
    (tmp_path / "cache").mkdir(mode=0o777)
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(SigcError, match="not safe from other users"), workspace(site_cache(""), Choices()):
        pass
    with workspace(site_cache("cache: {trusted: true}"), Choices()) as found:
        assert found.store


@pytest.fixture
def site_cache(tmp_path: Path, jit_directory: Path) -> Iterator[Callable[[str], Config]]:
    """A configuration whose cache is a folder of the test; kernels are where they were, afterwards."""

    def make(words: str) -> Config:
        section, _, rest = words.partition(": {")
        own = {"cache": "", "connections": ""} | {section: rest.removesuffix("}")}
        cache = ", ".join(part for part in (f"directory: {tmp_path / 'cache'}", own["cache"]) if part)
        return read(tmp_path, f"daemon: {{cache: {{{cache}}}, connections: {{{own['connections']}}}}}").config

    yield make
    jit.prepare(jit_directory)


def test_a_setting_that_has_no_effect_is_told_with_its_place(tmp_path: Path) -> None:
    loaded = read(tmp_path, "data:\n  validation: {max_missing_pct: 0.1, max_stale_hours: 24}\n")
    (found,) = loaded.findings
    assert (found.code, found.severity) == ("W008", "warning")
    assert "data.validation.max_stale_hours" in found.message
    assert "safety.on_stale_data" in found.hint
    assert found.span is not None
    assert found.span.line == 2
    assert loaded.config.data.validation.max_missing_pct == 0.1
    assert "W008" in CODES
    told = CliRunner().invoke(cli, ["config", "validate", str(tmp_path / "sigc.yaml")], catch_exceptions=False)
    assert told.exit_code == 0
    assert "warning[W008]: setting 'data.validation.max_stale_hours' has no effect" in told.output
