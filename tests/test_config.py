"""Configuration: found, layered, filled in, and refused with every error at once, each at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sigc.config.check import LoadedConfig, _fields, keys, load_config, reference_yaml
from sigc.config.settings import Config
from sigc.errors import SigcError


def load(tmp_path: Path, text: str, environment: dict[str, str] | None = None, **overrides: object) -> LoadedConfig:
    path = tmp_path / "sigc.yaml"
    path.write_text(text)
    return load_config(path, environment or {}, overrides)


def refused(tmp_path: Path, text: str, **environment: str) -> list[tuple[str, int, int, str]]:
    with pytest.raises(SigcError) as caught:
        load(tmp_path, text, environment)
    found = caught.value.diagnostics
    return [
        (d.code, d.span.line if d.span else 0, d.span.column if d.span else 0, d.message + " " + d.hint) for d in found
    ]


def test_precedence(tmp_path: Path) -> None:
    text = "data:\n  directory: file\ncluster: {workers: 3}\n"
    both = load_config(_write(tmp_path, text), {"SIGC_DATA__DIRECTORY": "env"}, {"cluster.workers": 5})
    assert (both.config.data.directory, both.config.cluster.workers) == ("env", 5)
    assert both.origins["data.directory"] == "$SIGC_DATA__DIRECTORY"
    assert both.origins["cluster.workers"] == "command line"
    plain = load(tmp_path, text)
    assert plain.config.data.directory == "file"
    assert plain.origins["data.directory"].endswith("sigc.yaml:2")


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sigc.yaml"
    path.write_text(text)
    return path


def test_where_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(None, {"HOME": str(tmp_path)}).path is None
    (tmp_path / ".sigc").mkdir()
    (tmp_path / ".sigc" / "config.yaml").write_text("")
    assert load_config(None, {"HOME": str(tmp_path)}).path == tmp_path / ".sigc" / "config.yaml"
    _write(tmp_path, "")
    assert load_config(None, {"HOME": str(tmp_path)}).path == Path("sigc.yaml")
    other = tmp_path / "other.yaml"
    other.write_text("")
    assert load_config(None, {"SIGC_CONFIG": str(other)}).path == other


def test_variables(tmp_path: Path) -> None:
    text = 'data: {directory: ${ROOT}/d, max_cells: ${CELLS:-1000}}\nbacktest:\n  capital: "${CAPITAL:-5}"\n'
    found = load(tmp_path, text, {"ROOT": "/x"})
    assert found.config.data.directory == "/x/d"
    assert found.config.data.max_cells == 1000
    assert refused(tmp_path, "data:\n  directory: ${NOPE}\n")[0][:3] == ("E402", 2, 14)


@pytest.mark.parametrize(
    ("text", "number", "flag", "name"),
    [("0123", 123.0, None, "0123"), ("12:30", None, None, "12:30"), ("yes", None, True, "yes"), ("1e3", 1000.0, None, "1e3"),
     ("no", None, False, "no"), ("1_000", 1000.0, None, "1_000"), ("0x1F", None, None, "0x1F"), ("2024-01-15", None, None, "2024-01-15")],
)  # fmt: skip
def test_a_variable_is_text_and_its_settings_type_reads_it(
    tmp_path: Path, text: str, number: float | None, flag: bool | None, name: str
) -> None:
    """In a file and as SIGC_...: never what YAML would make of it (octal, true, seconds, a date)."""
    for key, file, wanted in (
        ("backtest.capital", "backtest: {capital: ${X}}", number),
        ("safety.allow_short", "safety: {allow_short: ${X}}", flag),
        ("safety.restricted", "safety: {restricted: [${X}]}", (name,)),
        ("daemon.work_dir", "daemon: {work_dir: ${X}}", name),
    ):
        section, field = key.split(".")
        variable = "SIGC_" + key.upper().replace(".", "__")
        value = f"['{text}']" if key == "safety.restricted" else text
        for body, environment in ((file, {"X": text}), ("", {variable: value})):
            if wanted is None:
                assert refused(tmp_path, body, **environment)[0][0] == "E402"
            else:
                config = load(tmp_path, body, environment).config
                assert getattr(getattr(config, section), field) == wanted


def test_every_setting_can_be_a_variable(tmp_path: Path) -> None:
    """Its default, written as text, is read as it was."""
    for key, field in _fields(Config, ""):
        default = field.default
        if isinstance(default, bool | int | float | str) and default != "":
            variable = "SIGC_" + key.upper().replace(".", "__")
            value: object = load(tmp_path, "", {variable: str(default)}).config
            for name in key.split("."):
                value = getattr(value, name)
            assert value == default, key
            assert type(value) is type(default), key


def test_a_variable_that_is_no_setting_is_told_without_its_value(tmp_path: Path) -> None:
    environment = {"SIGC_DATA__DIRECTRY": "hunter2", "SIGC_CONFIG": "/x", "SIGC_RPC_TOKEN": "t" * 32, "SIGNAL": "1"}
    ((code, _, _, said),) = refused(tmp_path, "", **environment)
    assert code == "E401"
    assert "SIGC_DATA__DIRECTRY is no setting" in said
    assert "did you mean 'SIGC_DATA__DIRECTORY'?" in said
    assert "hunter2" not in said


def test_all_errors_with_their_places(tmp_path: Path) -> None:
    text = "data:\n  directry: 3\n  max_cells: many\ncluster: {type: foo, workers: 0}\nbacktset: 3\n"
    found = refused(tmp_path, text)
    assert [(c, row) for c, row, _, _ in found] == [("E401", 2), ("E402", 3), ("E402", 4), ("E402", 4), ("E401", 5)]
    assert "did you mean 'directory'?" in found[0][3]
    assert "did you mean 'backtest'?" in found[-1][3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: [", "E400"),
        ("- a\n- b\n", "a configuration is a mapping"),
        ("a: &x 1\nb: *x\n", "aliases are not allowed"),
        ("data: {}\ndata: {}\n", "'data' is given twice"),
        ("x: " + "[" * 500 + "]" * 500, ""),
        ("x: !!python/object/apply:os.system [ls]\n", ""),
        ("x" * 1_100_000, "is larger than"),
        ("\x00", ""),
    ],
)
def test_hostile_files(tmp_path: Path, text: str, message: str) -> None:
    found = refused(tmp_path, text)
    assert message in " ".join(f"{c} {m}" for c, _, _, m in found)


def test_an_alias_bomb_is_refused_fast(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert refused(tmp_path, "\n".join(rows))[0][0] == "E400"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SigcError, match="there is no configuration file"):
        load_config(tmp_path / "no.yaml", {})


def test_the_reference_holds_every_default(tmp_path: Path) -> None:
    text = reference_yaml()
    loaded = load(tmp_path, text.replace("~/.cache/sigc", str(tmp_path)))
    assert loaded.config.model_copy(update={"daemon": None}) == Config().model_copy(update={"daemon": None})
    given = yaml.safe_load(text)
    assert all(_has(given, key.split(".")) for key in keys())


def _has(data: object, key: list[str]) -> bool:
    for part in key:
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True
