"""A cell in virtual time with memory links, and small actors that stand at its edges."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from supervision import Cell, LightActor, VirtualClock
from transport.memory import MemoryHub

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision import Ref
    from supervision.clock import Clock
    from transport.frames import LinkFactory


class Probe(LightActor):
    """Keeps what it hears, and answers by a rule."""

    def __init__(
        self, rule: Callable[[Any], Any] | None = None, hears: tuple[type, ...] = ()
    ) -> None:
        self.heard: list[Any] = []
        self.senders: list[Any] = []
        self._rule = rule
        self._hears = hears

    def on_start(self) -> None:
        for event_type in self._hears:
            self.subscribe(event_type)

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        self.heard.append(message)
        self.senders.append(sender)
        if self._rule is not None:
            answer = self._rule(message)
            if answer is not None:
                self.send(sender, answer)

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]


class World:
    """One cell, its links, its time: in memory and virtual unless others are given."""

    def __init__(self, clock: Clock | None = None, links: LinkFactory | None = None) -> None:
        self.clock: Any = clock or VirtualClock(1_000.0)
        self.cell = Cell(self.clock, random.Random(1))
        self.hub: Any = links or MemoryHub()

    def spawn(self, actor: LightActor, role: str | None = None) -> Ref:
        ref = self.cell.spawn(lambda: actor, name=role)
        if role is not None:
            self.cell.registry.bind(role, ref)
        return ref

    def probe(self, role: str | None = None, **options: Any) -> tuple[Probe, Ref]:
        actor = Probe(**options)
        return actor, self.spawn(actor, role)

    def run(self, seconds: float = 0.0) -> None:
        self.cell.run(seconds)

    def ask(self, asker: Ref, target: Ref, message: Any) -> None:
        asker.ask(target, message)

    def unix_clock(self) -> float:
        return 1_800_000_000.0 + float(self.clock())
