"""The theatre: the warm process that starts all supervisors under test, and the line to it.

One Thespian system lives as long as the session, so that a case costs only the processes it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import uuid
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from tests.conformance.stage import address_of, letters, open_socket

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "CONFORMANCE_TOKEN"
START_LIMIT_S = 20.0
LEAVE_LIMIT_S = 10.0


class Theatre:
    """Starts the program that holds the stage, and speaks with the processes on it.

    Attributes:
        token: In the environment of all processes of this session, and in their sockets' names.
        folder: Where journals are kept.
        line: Where answers come in.

    Raises:
        AssertionError: It did not start, or (when it is closed) something was left over.
    """

    def __init__(self) -> None:
        self.token = uuid.uuid4().hex
        self._folder = tempfile.TemporaryDirectory(prefix="conformance-")
        self.folder = Path(self._folder.name)
        self.line = open_socket(self.token, "test")
        self._answers: dict[int, Any] = {}
        self._numbers = count(1)
        self._program = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        with (self.folder / "out").open("wb") as errors:
            program = subprocess.Popen(
                [sys.executable, "-m", "tests.conformance.program", self.token, str(self.folder)],
                cwd=ROOT,
                env={**os.environ, TOKEN: self.token},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert program.stdout is not None
        ready, _, _ = select.select([program.stdout], [], [], START_LIMIT_S)
        words = program.stdout.readline() if ready else b""
        assert words == b"ready\n", (self.folder / "out").read_text()
        return program

    def raise_curtain(self) -> None:
        """Begin anew if the stage fell in the last case: one failure is to be one failure."""
        if self._program.poll() is not None:
            self._end()
            self._program = self._begin()

    def say(self, who: object, what: str, **words: Any) -> int | None:
        """Send a wish; return its number, ``None`` if nobody is there."""
        number = next(self._numbers)
        letter = json.dumps({"number": number, "what": what, **words}).encode()
        try:
            self.line.sendto(letter, address_of(self.token, who))
        except ConnectionRefusedError:
            return None
        return number

    def answer(self, number: int) -> tuple[Any] | tuple[()]:
        """Return what was answered to ``number``, in a tuple, if it was."""
        for letter in letters(self.line):
            self._answers[letter["number"]] = letter["answer"]
        return (self._answers.pop(number),) if number in self._answers else ()

    def processes(self) -> list[psutil.Process]:
        """Return all live processes of this session, wherever they are by now."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            return bool(alive and process.environ().get(TOKEN) == self.token)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _end(self) -> None:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.wait(LEAVE_LIMIT_S)
        self._program.stdout.close()

    def close(self) -> None:
        self._end()
        self.line.close()
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._folder.cleanup()
        assert left == [], f"processes were left over: {left}"
