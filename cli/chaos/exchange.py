"""The traffic that plays during an experiment: ``bidwright load`` in a process of its own.

It is the judge of the answers, so it must not suffer from what the experiment does; and it writes
down what happens in each quarter of a second. It ends by itself after a while, so that a controller
that is killed leaves none behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from cli.chaos.errors import LoadError
from cli.chaos.guard import EXCHANGE_MARK
from cli.patience import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from cli.chaos.target import Target

_START_LIMIT_S = 30.0
_END_LIMIT_S = 30.0
_EXPLAIN_EVERY = 5

Row = dict[str, Any]


class Exchange:
    """One run of the exchange against a node.

    Args:
        target: The node.
        folder: Where the timeline, the summary and the complaints go.
        rate: Requests a second.
        patience_s: After this time an unanswered request is given up.
        most_s: It ends by itself after this time.
        seed: Of the sample world.
    """

    def __init__(
        self,
        target: Target,
        folder: Path,
        *,
        rate: float,
        patience_s: float,
        most_s: float,
        seed: int,
    ) -> None:
        self._timeline = folder / "timeline.jsonl"
        self._out, self._err = folder / "load.json", folder / "load.err"
        self._target = target
        self._patience_s = patience_s
        self._command = target.command(
            "load", "-o", "json", "--rate", rate, "--duration", most_s, "--patience", patience_s,
            "--seed", seed, "--explain-every", _EXPLAIN_EVERY, "--timeline", self._timeline,
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start to play; returns when the first answers have been counted.

        Raises:
            LoadError: It did not start.
        """
        self._timeline.unlink(missing_ok=True)
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, EXCHANGE_MARK: str(self._target.data_dir)},
                start_new_session=True,  # Ctrl-C is for us; the exchange is ended by us
            )
        started = wait_until(lambda: bool(self.rows()) or self._ended(), _START_LIMIT_S)
        if not started or self._ended():
            self.abandon()
            raise LoadError(f"the exchange did not start: {self._complaint()}")

    def rows(self) -> list[Row]:
        """Return the timeline so far."""
        try:
            text = self._timeline.read_text(encoding="utf-8")
        except OSError:
            return []
        whole = text[: text.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def end(self) -> dict[str, Any]:
        """Ask nothing more, wait for what is under way, and return the summary.

        Raises:
            LoadError: It did not end, or left no summary.
        """
        assert self._process is not None, "it was started"
        if not self._ended():
            self._process.send_signal(signal.SIGINT)
        if not wait_until(self._ended, self._patience_s + _END_LIMIT_S):
            self.abandon()
            raise LoadError("the exchange did not end")
        try:
            return dict(json.loads(self._out.read_text(encoding="utf-8")))
        except ValueError as error:
            raise LoadError(f"the exchange left no summary: {self._complaint()}") from error

    def abandon(self) -> None:
        """Kill it, if it lives; harmless otherwise."""
        if self._process is not None and not self._ended():
            self._process.kill()
            self._process.wait()

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _complaint(self) -> str:
        lines = self._err.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it says no reason"
