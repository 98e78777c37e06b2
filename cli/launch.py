"""Start a node in the background, and return only when it is ready to bid."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from cli import processes
from cli.errors import CommandError, SystemRefusedError
from cli.node import ask
from cli.patience import wait_until
from cli.stop import stop
from config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.paths import NodePaths

READY_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 10.0
_REASON_LINES = 12
_ASK_TIMEOUT_S = 2.0


def state_of(paths: NodePaths) -> str:
    """Return the state that the node of ``paths`` reports, or "" when none answers."""
    try:
        answer = ask(paths, "status", _ASK_TIMEOUT_S)
    except CommandError:
        return ""
    return str(answer.get("state", "")) if isinstance(answer, dict) else ""


def start_in_background(run: Callable[[], int], paths: NodePaths) -> int:
    """Run a node in a session of its own, and wait until it is ready.

    Args:
        run: Runs the node until it is stopped; returns its exit code.
        paths: The node's files; its output goes to ``console_file``.

    Returns:
        The pid of the node's first process.

    Raises:
        CommandError: It ended or was not ready in time; nothing of it is left running.
    """
    paths.console_file.write_bytes(b"")
    # fork is safe here: the command line has one thread, no socket library and no torch.
    pid = os.fork()
    if pid == 0:
        _become_background(run, paths)
    ended: list[int] = []

    def settled() -> bool:
        if not ended:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                ended.append(os.waitstatus_to_exitcode(status))
        return bool(ended) or state_of(paths) == "ready"

    try:
        is_settled = wait_until(settled, READY_TIMEOUT_S)
    except KeyboardInterrupt:
        stop(processes.descendants(pid), _STOP_TIMEOUT_S)
        raise
    if is_settled and not ended:
        return pid
    if ended:
        paths.remove_runtime_dir()
        raise CommandError(f"the node ended before it was ready (code {ended[0]}){_why(paths)}")
    stop(processes.descendants(pid), _STOP_TIMEOUT_S)
    raise CommandError(f"the node was not ready within {READY_TIMEOUT_S:.0f} s{_why(paths)}")


def tell_when_ready(paths: NodePaths, tell: Callable[[int], None]) -> None:
    """Have ``tell`` called with this process's pid once it has become a node that is ready.

    A node in the foreground has other things to do, so a process of its own watches it. That is
    a grandchild, which nobody here has to wait for; it ends with the node at the latest.
    """
    node = processes.find(os.getpid())
    assert node is not None, "a process finds itself"
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _watch(node, paths, tell)
    finally:
        os._exit(0)


def _watch(node: processes.Process, paths: NodePaths, tell: Callable[[int], None]) -> None:
    def is_over() -> bool:
        return not processes.alive([node]) or state_of(paths) == "ready"

    if wait_until(is_over, READY_TIMEOUT_S) and processes.alive([node]):
        tell(node.pid)


def _become_background(run: Callable[[], int], paths: NodePaths) -> NoReturn:
    code = 1
    try:
        os.setsid()
        os.chdir(paths.data_dir)
        null = os.open(os.devnull, os.O_RDONLY)
        console = os.open(paths.console_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for target, source in ((0, null), (1, console), (2, console)):
            os.dup2(source, target)
        code = run()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must reach the log
        _report(error)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _report(error: BaseException) -> None:
    if isinstance(error, OSError):
        sys.stderr.write(f"bidwright: {SystemRefusedError(error).message}\n")
        return
    if isinstance(error, ConfigError):
        sys.stderr.write(f"bidwright: {error}\n")
        return
    import traceback

    traceback.print_exception(error, file=sys.stderr)


def _why(paths: NodePaths) -> str:
    try:
        text = paths.console_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    lines = [line for line in text.splitlines() if line.strip()][-_REASON_LINES:]
    said = "".join(f"\n    {line}" for line in lines)
    return f"{':' if said else ''}{said}\n  logs: {paths.console_file} and {paths.log_file}"
