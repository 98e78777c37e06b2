"""SIGKILL at random points under load: of the ledger, of bidders, of PostgreSQL, again and again.

``python -m tests.money.kills [--kills N] [--seed S] [--database sqlite|postgresql]`` prints a table
and exits with 3 if anything that was acknowledged is lost or anything is overspent.

Principle: the truth is what bidders wrote down before they acted on it, and it is compared with the
database when all is over, by ``tests.money.auditor`` and by ``verify``.
"""

from __future__ import annotations

import argparse
import random
import select
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from actors.ledger.verify import verify
from tests.integration.waiting import eventually
from tests.money.auditor import Auditor
from tests.money.banks import PostgresVault, SqliteVault
from tests.money.postgres import PostgresServer
from tests.money.processes import read_log

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).resolve().parents[2]
BIDDERS: Final = ("bidder-1", "bidder-2")
#: After a kill, money must move again within this time.
DEADLINE_S: Final = 60.0
LOST: Final = 3


@dataclass
class Outcome:
    """What a campaign of kills has come to.

    Attributes:
        back_s: Seconds until wins were acknowledged again, for each kill, by who was killed.
        wins: Told by exchanges.
        acknowledged: Settlements that the ledger confirmed.
        settled_micros: What they cost.
        faults: Whatever was wrong.
    """

    back_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wins: int = 0
    acknowledged: int = 0
    settled_micros: int = 0
    entries: int = 0
    faults: list[str] = field(default_factory=list)

    def tell(self, out: TextIO) -> None:
        """Print the table."""
        out.write(
            f"{'killed':12} {'times':>6} {'money moves again after, s (median, worst)':>44}\n"
        )
        for victim, times in sorted(self.back_s.items()):
            middle, worst = sorted(times)[len(times) // 2], max(times)
            out.write(f"{victim:12} {len(times):6} {middle:36.2f} {worst:7.2f}\n")
        out.write(f"wins told {self.wins:,}, acknowledged {self.acknowledged:,}, ")
        out.write(f"journal entries {self.entries:,}, ")
        out.write(f"settled {self.settled_micros:,} micros\n")
        out.writelines(f"FAULT: {fault}\n" for fault in self.faults)
        out.write("every acknowledged settlement is there\n" if not self.faults else "")


class Crowd:
    """The processes, and who is killed next.

    Args:
        vault: The ledger's database.
        folder: Sockets and logs.
        rng: Decides who is killed when.
    """

    def __init__(
        self,
        vault: SqliteVault | PostgresVault,
        folder: Path,
        rng: random.Random,
    ) -> None:
        self._folder = folder
        self._vault = vault
        self._rng = rng
        self._database = vault.url if isinstance(vault, PostgresVault) else str(vault.where)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.outcome = Outcome()

    def open(self) -> None:
        """Start everybody, and wait until money moves."""
        self._start("ledger")
        for name in BIDDERS:
            self._start(name)
        self._await_progress()

    def kill_somebody(self) -> None:
        """Let them work for a random while, kill one of them, and see it go on."""
        select.select([], [], [], self._rng.uniform(0.02, 0.4))
        victims = ["ledger", "ledger", self._rng.choice(BIDDERS)]
        victims += ["postgresql"] if isinstance(self._vault, PostgresVault) else []
        victim = self._rng.choice(victims)
        if victim == "postgresql":
            assert isinstance(self._vault, PostgresVault)
            self._vault.kill_server()
        else:
            self._processes[victim].kill()
            self._processes[victim].wait()
            self._start(victim)
        kind = "bidder" if victim in BIDDERS else victim
        self.outcome.back_s[kind].append(self._await_progress())

    def close(self) -> None:
        """Kill everybody at once."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    def finish(self) -> None:
        """End the bidders, have all wins booked that were told, and compare."""
        for name in BIDDERS:
            self._processes[name].kill()
            self._processes[name].wait()
            argv = ("finish", str(self._folder), name)
            done = subprocess.run(self._argv(*argv), cwd=ROOT, check=False, timeout=90)
            if done.returncode:
                self.outcome.faults.append(f"wins of {name} were never acknowledged")
        self.close()
        self._compare()

    def _compare(self) -> None:
        outcome, auditor = self.outcome, Auditor(self._vault)
        try:
            auditor.follow()
            auditor.check_settlements()
        except AssertionError as error:
            outcome.faults.append(str(error))
        outcome.entries = auditor.seq
        booked = dict(self._vault.rows("SELECT key, booked_micros FROM settlements"))
        outcome.settled_micros = sum(booked.values())
        for name in BIDDERS:
            told = read_log(self._folder / f"{name}.log")
            outcome.wins += len(told.wins)
            outcome.acknowledged += len(told.acknowledged)
            for key, micros in told.acknowledged.items():
                if booked.get(key) != micros:
                    outcome.faults.append(f"{key}: {micros} confirmed, {booked.get(key)} booked")
            lost = told.wins.keys() - booked.keys()
            if lost:
                outcome.faults.append(f"{len(lost)} wins of {name} are not booked")
        report = verify(self._vault.where)
        outcome.faults += [str(violation) for violation in report.violations]

    def _start(self, who: str) -> None:
        if who == "ledger":
            argv = self._argv("ledger", self._database, str(self._folder))
        else:
            argv = self._argv("bidder", str(self._folder), who)
        self._processes[who] = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL)

    @staticmethod
    def _argv(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "tests.money.processes", *arguments]

    def _await_progress(self) -> float:
        """Wait until wins were booked that were not, and return the seconds that took."""
        before = self._booked()
        begun_s = time.monotonic()
        eventually(lambda: self._booked() > before, DEADLINE_S, "money moves again")
        return time.monotonic() - begun_s

    def _booked(self) -> int:
        """Return how much the bidders were acknowledged, in bytes of their logs' words."""
        logs = (self._folder / f"{name}.log" for name in BIDDERS)
        return sum(log.read_bytes().count(b"\nbooked ") for log in logs if log.exists())


def campaign(database: str, kills: int, seed: int, heard: Callable[[int], None]) -> Outcome:
    """Kill so many, and return what became of the money.

    Args:
        database: ``sqlite`` or ``postgresql``.
        kills: How many.
        seed: Of whom and when.
        heard: Called with the number of each kill.
    """
    server = PostgresServer() if database == "postgresql" else None
    vault = PostgresVault(server) if server is not None else SqliteVault()
    try:
        with tempfile.TemporaryDirectory(prefix="bw-kills-") as folder:
            crowd = Crowd(vault, Path(folder), random.Random(seed))
            try:
                crowd.open()
                for number in range(kills):
                    crowd.kill_somebody()
                    heard(number + 1)
                crowd.finish()
            finally:
                crowd.close()
            return crowd.outcome
    finally:
        vault.discard()
        if server is not None:
            server.close()


def main(arguments: list[str], out: TextIO) -> int:
    """Run a campaign, tell of it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.money.kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    chosen = parser.parse_args(arguments)

    def heard(number: int) -> None:
        if number % 20 == 0:
            out.write(f"{number} killed\n")
            out.flush()

    outcome = campaign(chosen.database, chosen.kills, chosen.seed, heard)
    out.write(f"--- {chosen.database}, seed {chosen.seed}\n")
    outcome.tell(out)
    return LOST if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
