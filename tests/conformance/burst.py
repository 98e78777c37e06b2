"""Siblings in processes of their own that are killed at one instant, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance.processes import ProcessWorld

if TYPE_CHECKING:
    from tests.conformance.theatre import Theatre


class Burst(ProcessWorld):
    """One supervisor of ``size`` probes, which it may restart as often as it likes."""

    def __init__(self, theatre: Theatre, size: int) -> None:
        super().__init__(theatre)
        self._names = [f"w{number}" for number in range(size)]
        flags = {"intensity": 1_000_000, "period": 10}
        answer = self.start({"sup": flags, "children": [{"id": name} for name in self._names]})
        assert answer == "started"

    def kill_all(self) -> None:
        """Kill them; return when all are back and their supervisor is at rest."""
        victims = [self._latest[name] for name in self._names]
        for victim in victims:
            victim.kill()
        for victim in victims:
            self._wait_dead(victim)
        self.settle()
        assert all(self.lives(name) for name in self._names)
        assert not any(self._latest[life.path] is life for life in victims)

    def notices(self) -> list[int]:
        """Return the process of every end that the supervisor was told, in order."""
        self._refresh()
        return [entry.what[0] for entry in self._chronicle.entries if entry.kind == "heard"]
