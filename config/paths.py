"""Where a node keeps its files and sockets: one value that all derive from the data folder.

Sockets live in a short folder of their own, because the path of a Unix socket may have only 107
bytes and a data folder can be deep. That folder is private to the user: whoever can write to the
control socket can stop the node.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import ConfigError

_SOCKET_PATH_BYTES = 107
_LONGEST_SOCKET_NAME = 40
_DIGEST_CHARACTERS = 12


def _default_runtime_dir(data_dir: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:_DIGEST_CHARACTERS]
    name = f"bidwright-{os.getuid()}-{digest}"
    root = os.environ.get("XDG_RUNTIME_DIR", "")
    longest = len(os.fsencode(root)) + len(name) + _LONGEST_SOCKET_NAME
    if root and Path(root).is_dir() and longest <= _SOCKET_PATH_BYTES:
        return Path(root) / name
    return Path("/tmp") / name  # noqa: S108 - private and checked: see NodePaths.make


@dataclass(frozen=True, slots=True)
class NodePaths:
    """The files and sockets of one node.

    Attributes:
        data_dir: The node's folder; made absolute.
        runtime_dir: The folder of its sockets; derived from ``data_dir`` unless given.
    """

    data_dir: Path
    runtime_dir: Path = field(default=Path())

    def __post_init__(self) -> None:
        data_dir = self.data_dir.expanduser().absolute()
        object.__setattr__(self, "data_dir", data_dir)
        if self.runtime_dir == Path():
            object.__setattr__(self, "runtime_dir", _default_runtime_dir(data_dir))

    @classmethod
    def of_node(cls, data_dir: Path) -> NodePaths:
        """Return the paths that the node on ``data_dir`` uses, if it has left a state file.

        The node may have been started in another environment (another ``XDG_RUNTIME_DIR``), so
        what it wrote down itself counts more than what this process would choose.
        """
        paths = cls(data_dir)
        recorded = paths.read_state().get("runtime_dir")
        return cls(data_dir, Path(recorded)) if isinstance(recorded, str) and recorded else paths

    @property
    def ledger_db(self) -> Path:
        """The ledger's SQLite database."""
        return self.data_dir / "ledger.sqlite3"

    @property
    def exposures_db(self) -> Path:
        """What users have seen, for frequency caps: a SQLite database that all bidders write."""
        return self.data_dir / "exposures.sqlite3"

    @property
    def segments_dir(self) -> Path:
        """Decision log segments, as the bidders write them."""
        return self.data_dir / "decisions" / "segments"

    @property
    def parquet_dir(self) -> Path:
        """Decision log as Parquet, as the recorder writes it."""
        return self.data_dir / "decisions" / "parquet"

    @property
    def logs_dir(self) -> Path:
        """Folder of the node's own logs."""
        return self.data_dir / "logs"

    @property
    def log_file(self) -> Path:
        """The node's log, one JSON object a line; the one before it ends in ``.1``."""
        return self.logs_dir / "node.log.jsonl"

    @property
    def events_file(self) -> Path:
        """What happened in the tree, one JSON object a line; the one before it ends in ``.1``."""
        return self.logs_dir / "events.jsonl"

    @property
    def console_file(self) -> Path:
        """What a node in the background writes to stdout and stderr."""
        return self.logs_dir / "node.console.log"

    @property
    def state_file(self) -> Path:
        """JSON written by a live node: ``pid``, ``ports``, ``started``, ``runtime_dir``."""
        return self.data_dir / "node.json"

    @property
    def settings_file(self) -> Path:
        """The settings that the node was last started with, as JSON."""
        return self.data_dir / "settings.json"

    @property
    def lock_file(self) -> Path:
        """Locked (flock) by the node for as long as it lives, so that there is only one."""
        return self.data_dir / "node.lock"

    @property
    def secret_file(self) -> Path:
        """The key that signs notice URLs; made at the first start, mode 0600."""
        return self.data_dir / "notice.key"

    @property
    def control_socket(self) -> Path:
        """The Unix socket on which the node takes orders."""
        return self.runtime_dir / "control.sock"

    def ipc(self, name: str) -> str:
        """Return the nng address of the socket called ``name``.

        Raises:
            ConfigError: The path is longer than the system allows for a socket.
        """
        path = self.runtime_dir / f"{name}.sock"
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
            raise ConfigError(f"the socket path {path} is too long; shorten XDG_RUNTIME_DIR")
        return f"ipc://{path}"

    def make(self) -> NodePaths:
        """Make all folders and return self; safe to call again.

        Raises:
            ConfigError: A folder can't be made, or the runtime folder belongs to someone else.
        """
        for folder in (self.data_dir, self.segments_dir, self.parquet_dir, self.logs_dir):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"can't make the folder {folder}: {error.strerror}; "
                    "choose another with --data-dir",
                ) from error
        _make_private(self.runtime_dir)
        return self

    def clear_runtime_dir(self) -> None:
        """Remove the sockets and their folder; for who holds the node's lock, at its end.

        A process that was killed leaves its sockets there; nobody listens on them any more.
        """
        with contextlib.suppress(OSError):
            for place in self.runtime_dir.iterdir():
                if place.is_socket():
                    place.unlink(missing_ok=True)
        self.remove_runtime_dir()

    def remove_runtime_dir(self) -> None:
        """Remove the folder of the sockets once the node has ended; what isn't empty stays."""
        with contextlib.suppress(OSError):
            self.runtime_dir.rmdir()

    def read_state(self) -> dict[str, object]:
        """Return what the node wrote to its state file; empty when there is none."""
        try:
            state = json.loads(self.state_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def write_state(self, state: dict[str, object]) -> None:
        """Replace the state file at once, so that nobody reads half of it."""
        draft = self.state_file.with_suffix(".json.draft")
        content = {**state, "runtime_dir": str(self.runtime_dir)}
        draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.state_file)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise ConfigError(f"can't make the socket folder {folder}: {error.strerror}") from error
    # In a folder that all users share, somebody else may have been there first.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ConfigError(f"{folder} belongs to someone else; set XDG_RUNTIME_DIR to a private one")
    if stat.S_IMODE(status.st_mode) != stat.S_IRWXU:
        folder.chmod(stat.S_IRWXU)
