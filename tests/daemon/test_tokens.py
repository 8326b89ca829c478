"""Tokens by reload: new ones open, gone ones don't, a bad one changes nothing; nothing of them is shown."""

from __future__ import annotations

import pytest

from sigc.errors import SigcError
from sigc.rpc.access import TOKEN_FILE
from sigc.rpc.client import Client, Target
from sigc.rpc.messages.requests import ReloadReply
from tests.daemon.daemons import Daemon, Site

ONE, TWO, THREE = ("x" * 20 + end for end in ("one", "two", "three"))


def opens(site: Site, token: str) -> bool:
    with Client(Target(site.address, token), 30.0) as client:
        try:
            client.get("status")
        except SigcError:
            return False
    return True


def reloaded(site: Site, token: str, *, is_plan: bool = False) -> ReloadReply:
    with Client(Target(site.address, token), 60.0) as client:
        return client.post("reload/plan" if is_plan else "reload", {}, reply=ReloadReply)


def test_a_changed_token_file_counts_after_a_reload(site: Site) -> None:
    with Daemon(site):
        old, path = site.token, site.folder / "work" / TOKEN_FILE
        path.write_text(ONE + "\n")
        assert (opens(site, old), opens(site, ONE)) == (True, False)
        found = reloaded(site, old)
        assert [(c.what, c.needs_restart) for c in found.changes] == [("daemon.rpc.token", False)]
        assert (opens(site, old), opens(site, ONE)) == (False, True)
        assert site.sigc("status").returncode == 0, "the command line reads the same file"
        path.write_text("short\n")
        refused = site.sigc("reload")
        assert refused.returncode != 0
        path.write_text(ONE + "\n")
        assert opens(site, ONE), "a bad token changes nothing"
    assert ONE not in (site.folder / "daemon.log").read_text()


def test_tokens_of_the_configuration_come_change_and_go(site: Site) -> None:
    rpc = site.settings["daemon"]["rpc"]
    rpc["tokens"] = [{"name": "ci", "role": "read", "token": ONE}, {"name": "desk", "role": "operate", "token": TWO}]
    site.write()
    with Daemon(site):
        main = site.token
        assert opens(site, ONE)
        assert opens(site, TWO)
        rpc["tokens"] = [{"name": "ci", "role": "read", "token": THREE}]
        site.write()
        planned = site.sigc("reload", "--plan")
        assert planned.returncode == 0, planned.stderr
        assert "daemon.rpc.tokens.ci.token" in planned.stdout
        assert not {ONE, TWO, THREE} & set(planned.stdout.split())
        assert opens(site, ONE), "a plan changes nothing"
        found = reloaded(site, main)
        assert {c.what: c.kind for c in found.changes} == {
            "daemon.rpc.tokens.ci.token": "changed",
            "daemon.rpc.tokens.desk": "removed",
        }
        assert [opens(site, token) for token in (ONE, TWO, THREE, main)] == [False, False, True, True]
        rpc["hosts"] = ["elsewhere"]
        site.write()
        with pytest.raises(SigcError):
            reloaded(site, THREE)
        (change,) = reloaded(site, main).changes
        assert change.needs_restart
