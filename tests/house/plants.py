"""One declaration of each kind, in a file of its own or at the end of one, that no list names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plant:
    """A text that goes to the end of a file, which is made where there is none. is_found: it is then in force."""

    kind: str
    file: str
    name: str
    is_found: bool
    text: str


PLANTS = (
    Plant(
        *("operator", "sigc/ops/planted.py", "sigc.ops.planted.planted", True),
        """
from sigc.ops.declare import Axis, Values, operator

@operator(axis=Axis.CELL, example="planted(prices)")
def planted(x: Values) -> Values:
    '''Twice x.'''
    return x + x
""",
    ),
    Plant(
        *("rewrite", "sigc/plan/rules/planted.py", "sigc.plan.rules.planted.planted", True),
        """
from sigc.plan.rules.declare import rule

@rule
def planted(node):
    return node
""",
    ),
    Plant(
        *("alert rule", "sigc/alerts/planted.py", "sigc.alerts.planted.planted", False),
        """
from sigc.alerts.declare import rule
from sigc.alerts.urgency import Urgency

@rule("planted", on=("planted",), urgency=Urgency.INFO)
def planted(seen):
    '''Planted.'''
    return ()
""",
    ),
    Plant(
        *("channel", "sigc/alerts/channels/planted.py", "sigc.alerts.channels.planted.planted", True),
        """
from sigc.alerts.channels.declare import channel
from sigc.config.alert_settings import Planted

@channel(Planted)
def planted(settings, secret):
    return print
""",
    ),
    Plant(
        *("settings", "sigc/config/alert_settings.py", "sigc.config.alert_settings.Planted", False),
        """
class Planted(ChannelBase):
    '''Planted.'''
""",
    ),
    Plant(
        *("verb", "sigc/daemon/verbs/planted.py", "sigc.daemon.verbs.planted.planted", True),
        """
from sigc.rpc.messages.planted import Planted
from sigc.rpc.verb import Nothing, Role, verb

@verb("planted", "GET", Role.READ)
async def planted(call, request: Nothing) -> Planted:
    '''Planted.'''
""",
    ),
    Plant(
        *("verb", "sigc/daemon/planted.py", "sigc.daemon.planted.forgotten", False),
        """
from sigc.rpc.verb import Nothing, Role, verb

@verb("forgotten", "GET", Role.READ)
async def forgotten(call, request: Nothing) -> Nothing:
    '''Planted.'''
""",
    ),
    Plant(
        *("message", "sigc/rpc/messages/planted.py", "sigc.rpc.messages.planted.Planted", True),
        """
from dataclasses import dataclass

@dataclass
class Planted:
    a: int
""",
    ),
    Plant(
        *("message", "sigc/rpc/messages/planted.py", "sigc.rpc.messages.planted.Forgotten", False),
        """
@dataclass
class Forgotten:
    a: int
""",
    ),
    Plant(
        *("check", "pipelines/sigc_pipelines/checks/planted.py", "sigc_pipelines.checks.planted.planted", False),
        """
from sigc_pipelines.checks.declare import check

@check()
def planted(seen, limits):
    '''Planted.'''
""",
    ),
    Plant(
        *("check", "pipelines/sigc_pipelines/checks/orders.py", "sigc_pipelines.checks.orders.planted", False),
        """
@check()
def planted(case, limits):
    '''Below the list that is in force.'''
""",
    ),
    Plant(
        *("command", "cli/sigc_cli/commands/planted.py", "sigc_cli.commands.planted.command", True),
        """
import click

@click.command(short_help="Planted.")
def command():
    '''Planted.'''
""",
    ),
    Plant(
        *("command", "cli/sigc_cli/commands/fmt.py", "sigc_cli.commands.fmt.planted", False),
        """
@click.command()
def planted():
    '''Planted.'''
""",
    ),
    Plant(
        *("view", "dashboard/sigc_dashboard/views/planted.py", "sigc_dashboard.views.planted.Planted", True),
        """
class Planted:
    name, title, is_listed, has_frames = "planted", "Planted", True, False
    place = 3

    def asks(self, where):
        return ()

    def parts(self, look):
        return ()

    def plots(self, where):
        return ()
""",
    ),
    Plant(
        *("metric", "sigc/daemon/planted.py", "sigc.daemon.planted.PLANTED", False),
        """
from sigc.metrics import Metric, MetricKind

PLANTED = Metric("sigc_planted", MetricKind.GAUGE, "Planted.")
""",
    ),
    Plant(
        *("metric", "sigc/metrics.py", "sigc.metrics.PLANTED_BELOW", False),
        """
PLANTED_BELOW = Metric("sigc_planted_below", MetricKind.GAUGE, "Planted.")
""",
    ),
    Plant(
        *("broker", "pipelines/sigc_pipelines/brokers/planted.py", "sigc_pipelines.brokers.planted.Planted", False),
        """
class Planted:
    def submit(self, request): ...

    def cancel(self, id): ...

    def orders(self, since): ...

    def activities(self, cursor): ...
""",
    ),
    Plant(
        *("source", "sigc/data/sources/planted.py", "sigc.data.sources.planted.Planted", False),
        """
class Planted:
    def fingerprint(self): ...

    def schema(self): ...

    def rows(self, columns): ...
""",
    ),
    Plant(
        *(
            "definition",
            "dashboard/sigc_dashboard/parts/planted.py",
            "sigc_dashboard.parts.planted.planted_part",
            False,
        ),
        """
def planted_part(look):
    return ""
""",
    ),
    Plant(
        *("definition", "sigc/data/formats/planted.py", "sigc.data.formats.planted.PlantedTable", False),
        """
class PlantedTable:
    def head(self): ...

    def read(self, columns, numbers): ...
""",
    ),
    Plant(
        *("definition", "sigc/store/ledger/schema.py", "sigc.store.ledger.schema._PLANTED", False),
        """
_PLANTED = "CREATE TABLE planted (a)"
""",
    ),
    Plant(
        *("definition", "pipelines/sigc_pipelines/backtest/costs.py", "sigc_pipelines.backtest.costs._planted", False),
        """
def _planted(cost, book, market):
    return None
""",
    ),
)


def plant(root: Path) -> None:
    """Write them into a tree."""
    for one in PLANTS:
        path = root / one.file
        before = path.read_text(encoding="utf-8") if path.exists() else "from __future__ import annotations\n"
        path.write_text(f"{before}\n{one.text}", encoding="utf-8")
