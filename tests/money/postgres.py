"""A PostgreSQL server that tests start themselves, listen to nobody else, and may kill.

Principle: the server's files live in memory where there is room, its only door is a socket in its
own folder, and every test gets a fresh database. PostgreSQL refuses to work for root, so root runs
it as the user ``postgres``. Nothing of it is left afterwards.
"""

from __future__ import annotations

import getpass
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import psutil
import psycopg

from tests.integration.waiting import eventually

#: Where Debian puts the programs that are not in PATH.
_DEBIAN: Final = Path("/usr/lib/postgresql")
_START_S: Final = 30.0
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "40",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "log_min_messages": "fatal",
    "jit": "off",
}


def programs() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``; None where they are not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = sorted(_DEBIAN.glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").is_file()), None)


def why_not() -> str:
    """Say why no server can be started here, "" if one can."""
    if programs() is None:
        return "PostgreSQL's programs (initdb, postgres) are not installed"
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        return "root may not run PostgreSQL and there is no user 'postgres' to run it as"
    return ""


def _lives(process: psutil.Process) -> bool:
    """Whether it may still hold something; one that only waits to be buried does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class PostgresServer:
    """One server, from ``initdb`` to the removal of its folder.

    Raises:
        RuntimeError: It can't be started; ``why_not`` says so beforehand for the usual causes.
    """

    def __init__(self) -> None:
        folder = programs()
        if folder is None:
            raise RuntimeError(why_not())
        self._bin = folder
        self._user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        memory = Path("/dev/shm")
        self.folder = Path(
            tempfile.mkdtemp(prefix="bw-pg-", dir=memory if memory.is_dir() else None)
        )
        self._numbers = itertools.count(1)
        if os.geteuid() == 0:
            shutil.chown(self.folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._initialize()
            self.start()
        except BaseException:
            self.close()
            raise

    def _initialize(self) -> None:
        options = (
            "--no-sync",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        )
        self._run([str(self._bin / "initdb"), "-D", str(self._data), "-U", "postgres", *options])

    def _run(self, argv: list[str]) -> None:
        done = subprocess.run(
            argv, user=self._as_user, cwd=self.folder, capture_output=True, check=False, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{argv[0]}: {done.stderr.decode(errors='replace')[-500:]}")

    @property
    def _as_user(self) -> str | None:
        return self._user if os.geteuid() == 0 else None

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it and wait until it answers; it rolls forward what a kill left behind."""
        argv = [str(self._bin / "postgres"), "-D", str(self._data), "-k", str(self.folder)]
        for name, value in _SETTINGS.items():
            argv += ["-c", f"{name}={value}"]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            argv, user=self._as_user, cwd=self.folder, stdout=log, stderr=log
        )
        log.close()
        self._wait()

    def _wait(self) -> None:
        eventually(self._answers, _START_S, f"PostgreSQL answers; see {self.folder}/log")

    def _answers(self) -> bool:
        assert self._process is not None
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError as error:
            if self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {self.log()[-500:]}") from error
            return False
        return True

    def kill(self) -> None:
        """SIGKILL the server and all that belongs to it, in the middle of whatever they do."""
        if self._process is None:
            return
        try:
            postmaster = psutil.Process(self._process.pid)
            family = [postmaster, *postmaster.children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        for process in family:
            # Not in the list any more is as good as killed.
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        eventually(lambda: not any(map(_lives, family[1:])), _START_S, "PostgreSQL is dead")

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def close(self) -> None:
        """End it and remove all that it wrote."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # fast shutdown
            try:
                self._process.wait(timeout=_START_S)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- databases -----------------------------------------------------------------------------

    def fresh_database(self, template: str = "template1") -> str:
        """Make a database and return its name."""
        name = f"ledger_{next(self._numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        with self.connect("postgres") as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def hang_up(self, name: str) -> None:
        """Cut all connections to a database, as a restart of the server would."""
        whose = "FROM pg_stat_activity WHERE datname = %s"
        with self.connect("postgres") as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid) {whose}".encode(), (name,))
            left = f"SELECT 1 {whose}".encode()
            eventually(
                lambda: connection.execute(left, (name,)).fetchone() is None,
                _START_S,
                "all connections are cut",
            )

    def url(self, name: str) -> str:
        """Return a database's URL, as settings have it."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def connect(self, name: str) -> psycopg.Connection:
        """Return a connection of the tests' own, each of its statements a transaction."""
        return psycopg.connect(
            f"postgresql://postgres@/{name}?host={self.folder}&connect_timeout=5", autocommit=True
        )

    def log(self) -> str:
        """Return what the server has said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")
