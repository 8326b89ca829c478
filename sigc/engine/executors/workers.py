"""The workers of a client: checked, awaited, set aside. Every wait is bounded, and its error says for what.

    workers = Workers(client, patience_s)
    workers.admit(required, ...)      check present workers, and those that join from now on
    workers.usable()                  workers that may get tasks
    workers.set_aside(address, why)   send nothing more there

Neighbours: `proof.py` is the requirement, `join.py` checks workers that join later.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
from distributed import Client

from sigc.engine.executors import join
from sigc.engine.executors.join import EVENTS
from sigc.errors import Diagnostic, SigcError

PROVES_WITHIN_S = 120.0  # including compilation of its loops
_ANSWERS_WITHIN_S = 10.0
_GOOD_BYE_S = 5.0
_LOOKS_EVERY_S = 0.2

cloudpickle.register_pickle_by_value(join)
CARRY_OUT = join.ByValue(join.carry_out)


class Workers:
    """The workers of a client. patience_s: how long to wait for a first worker, or for a scheduler."""

    def __init__(self, client: Client, patience_s: float) -> None:
        self._client, self.patience_s = client, patience_s
        self.aside: dict[str, str] = {}  # address to reason, of present workers
        self.refusals: list[str] = []  # one sentence each, also of workers that left again

    @property
    def scheduler(self) -> str:
        """Return the address of the scheduler."""
        return str(self._client.scheduler.address) if self._client.scheduler else "a scheduler"

    def there(self) -> Mapping[str, Mapping[str, Any]]:
        """Return all workers known to the scheduler. Raise `TimeoutError` and `OSError` if it does not answer."""
        scheduler = self._client.scheduler
        if scheduler is None or self._client.status != "running":
            raise OSError("the connection is gone")
        found: Mapping[str, Any] = self._client.sync(
            scheduler.identity, n_workers=-1, callback_timeout=max(self.patience_s, _ANSWERS_WITHIN_S)
        )
        workers: Mapping[str, Mapping[str, Any]] = found["workers"]
        for address in [a for a in list(self.aside) if a not in workers]:
            self.aside.pop(address, None)
        return {a: told for a, told in workers.items() if told.get("status") != "closing"}

    def usable(self) -> dict[str, Mapping[str, Any]]:
        """Return the present workers that are not set aside."""
        return {address: told for address, told in self.there().items() if address not in self.aside}

    def set_aside(self, address: str, why: str) -> str:
        """Send nothing more to a worker; return the sentence that reports it."""
        text = f"worker {address} does not compute: it {why}"
        self.heard(address, why, text)
        return text

    def heard(self, address: str, why: str, text: str) -> None:
        """Record that a worker was refused, by itself when it joined or by another client."""
        self.aside[address] = why
        if text not in self.refusals:
            self.refusals.append(text)

    def wait(self, tell: Callable[[str], None] | None = None) -> None:
        """Wait for a usable worker. Raise `SigcError` (E402) after `patience_s`."""
        until, is_told = time.monotonic() + self.patience_s, False
        rest = threading.Event()
        while not self.usable():
            if time.monotonic() > until:
                raise self.nobody()
            if tell is not None and not is_told:
                is_told = True
                tell(f"0 workers at {self.scheduler}; waiting up to {self.patience_s:.0f} s")
            rest.wait(_LOOKS_EVERY_S)

    def nobody(self) -> SigcError:
        """Return the error for a cluster without a usable worker."""
        if self.refusals:
            hint = "the same sigc, numpy, numba, class of CPU and cache are needed on workers"
            return SigcError(*(Diagnostic("E402", text, hint=hint) for text in dict.fromkeys(self.refusals)))
        message = f"0 workers at {self.scheduler} that can be used; waited {self.patience_s:.0f} s"
        return SigcError(Diagnostic("E402", message, hint="start workers, or raise cluster.connect_timeout_s"))

    def admit(self, name: str, required: str, folder: str = "", niceness: int = 0) -> list[str]:
        """Check all workers against a requirement: those present, and those that join while the client exists.

        Those that fail are set aside; the addresses of those that do not answer are returned.
        """
        plugin = cloudpickle.dumps(join.Join(f"{name}-{self._client.id}", required, folder, niceness))
        self._on_scheduler(join.hang, name, plugin, self._client.id)
        return self.judge(required, folder, niceness)

    def judge(self, required: str, folder: str = "", niceness: int = 0) -> list[str]:
        """Check all usable workers in parallel; return the addresses of those that do not answer."""
        asked = sorted(self.usable())
        if not asked:
            return []
        with ThreadPoolExecutor(len(asked), "sigc-ask") as pool:
            answers = list(pool.map(lambda address: self._judged(address, required, folder, niceness), asked))
        for address, (why, has_sigc) in zip(asked, answers, strict=True):
            if why:
                text = self.set_aside(address, why)
                said = join.told(address, why, text, required, self._client.id, is_ours=has_sigc)
                with contextlib.suppress(Exception):  # the event is for other clients; here it is recorded already
                    self._client.log_event(EVENTS, said)
        return [address for address, (why, _) in zip(asked, answers, strict=True) if why is None]

    def leave(self, name: str = "") -> None:
        """Stop checking, under one name or all. Anything not removed now is removed with the client."""
        if self._client.status != "running":
            return
        with contextlib.suppress(Exception):
            self._on_scheduler(join.take_down, self._client.id, name, within_s=_GOOD_BYE_S)

    def _judged(self, address: str, required: str, folder: str, niceness: int) -> tuple[str | None, bool]:
        """Return (differences, True if it has sigc); None in place of the differences if it is silent, '' if it is
        gone.
        """
        try:
            if self._run(address, _ANSWERS_WITHIN_S, join.answers) is None:
                return "", True
            answer = self._run(address, PROVES_WITHIN_S, join.judged, required, folder, niceness)
            return ("", True) if answer is None else (str(answer[0]), bool(answer[1]))
        except TimeoutError:
            return None, True
        except OSError:
            return "", True
        except Exception as failure:
            return f"can't prove what it computes: {type(failure).__name__}: {failure}", True

    def _run(self, address: str, within_s: float, function: Callable[..., Any], *arguments: Any) -> Any:
        run = self._client._run  # the public method waits for all workers without a timeout
        found = self._client.sync(
            run, function, *arguments, workers=[address], on_error="return", callback_timeout=within_s
        )
        answer = found.get(address)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _on_scheduler(self, function: Callable[..., Any], *arguments: Any, within_s: float | None = None) -> Any:
        limit = max(self.patience_s, _ANSWERS_WITHIN_S) if within_s is None else within_s
        return self._client.sync(self._client._run_on_scheduler, function, *arguments, callback_timeout=limit)


def is_same_cache(event: Mapping[str, Any], cache: str) -> bool:
    """Return True if a worker was refused by a client of the same cache."""
    return Path(event["cache"]).resolve() == Path(cache).resolve()
