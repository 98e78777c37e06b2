"""The program that holds the stage: a trunk whose topmost process is a warm :class:`Stage`.

It ends, with all below it, when its input ends: that is, when the test session does.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from supervision import ChildSpec, Start, monotonic_clock
from supervision.processes.loopback import pin_to_loopback
from supervision.processes.process import ProcessSettings, become_subreaper, guard_logger
from supervision.processes.trunk import Trunk
from tests.conformance.stage import Stage

SETTINGS = ProcessSettings(heartbeat_s=0.5, hang_s=10.0, ready_timeout_s=15.0)
"""Patient: what these cases are about is no heartbeat, and the machine may be busy."""


def main(token: str, folder: str) -> int:
    pin_to_loopback()
    become_subreaper()
    guard_logger()
    os.environ["THESPLOG_FILE"] = str(Path(folder) / "thespian.log")
    spec = ChildSpec("stage", Start(Stage, (token,)), type="supervisor", placement="process")
    trunk = Trunk(spec, SETTINGS, log_dir=Path(folder), clock=monotonic_clock())
    try:
        trunk.grow(bool)
        assert trunk.record is not None
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        select.select([sys.stdin, trunk.record.pidfd], [], [])
    finally:
        trunk.fell()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
