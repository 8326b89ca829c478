"""Corporate actions declared by a strategy: by sources of actions, or by columns of a price file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from sigc.actions import Action, in_order
from sigc.data.convert import Ways
from sigc.data.sources.frame_source import MemoryFrame
from sigc.data.sources.locate import SourceFiles
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic

if TYPE_CHECKING:
    from sigc.data.actions.action_files import CorporateActions  # imports pyarrow.compute: only loaded if needed


class DeclaredActions:
    """The declared actions; each file is read once. declared: sources of actions. held: sources given from memory, by
    name.
    """

    def __init__(
        self,
        declared: Sequence[SourceSpec],
        held: Mapping[str, MemoryFrame],
        look: Callable[[SourceSpec], SourceFiles],
        ways: Ways,
    ) -> None:
        self.declared = tuple(declared)
        self._held, self._look, self._ways = held, look, ways
        self._lock = Lock()  # sources are converted in parallel threads
        self._known: dict[tuple[str, ...], CorporateActions] = {}

    def of(self, spec: SourceSpec) -> tuple[Action, ...]:
        """Return the actions that apply to a source of prices, in order; none if its file is adjusted already."""
        if spec.options.adjusted:
            return ()
        from sigc.data.actions.action_files import rows_of_prices

        return self._declared() if self.declared else self._read(spec, rows_of_prices).actions

    def all_of(self, specs: Sequence[SourceSpec]) -> tuple[Action, ...]:
        """Return the actions of all sources, in order."""
        if self.declared:
            return self._declared()
        return in_order({a for s in specs if s.adjust != "none" for a in self.of(s)})

    def are_declared(self, spec: SourceSpec) -> bool:
        """Return True if actions are declared, even if there are none."""
        if self.declared:
            return True
        if spec.name in self._held:
            return self._held[spec.name].acts is not None
        from sigc.data.actions.action_files import has_actions

        return any(has_actions(spec, file, self._ways.settings.max_cells) for file in self._look(spec).files)

    def findings(self) -> tuple[Diagnostic, ...]:
        """Return the findings of reading them."""
        return tuple(f for acts in self._known.values() for f in acts.findings)

    def _declared(self) -> tuple[Action, ...]:
        from sigc.data.actions.action_files import read_actions

        parts = [self._read(one, read_actions).actions for one in self.declared]
        return parts[0] if len(parts) == 1 else in_order(a for part in parts for a in part)

    def _read(self, spec: SourceSpec, reader: Callable[..., CorporateActions]) -> CorporateActions:
        if spec.name in self._held:
            from sigc.data.actions.action_files import CorporateActions

            return self._held[spec.name].acts or CorporateActions()
        place = self._look(spec)
        key = (place.text, *place.versions)
        with self._lock:
            if key not in self._known:
                settings = self._ways.settings
                self._known[key] = reader(spec, place.files, self._ways.exchange(spec), settings.max_cells)
            return self._known[key]
