"""Who may ask for bids, and who is told why there was none.

Principle: closed. A file of tokens that is not there lets nobody in; a caller of whom no address
is known is told nothing. Tokens are compared in a time that tells nothing of them, and neither they
nor what callers send in their place is written anywhere.
"""

from __future__ import annotations

import hmac
import ipaddress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from actors.edge.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

LOOK_S: Final = 1.0
"""How often the file of tokens is looked at."""
FEWEST_CHARACTERS: Final = 16
"""A shorter token could be guessed."""
MAX_FILE_BYTES: Final = 1 << 20
MAX_CALLERS: Final = 4096
_SCHEME: Final = b"bearer "


class Tokens:
    """The bearer tokens of a file, one a line; ``#`` begins a comment. Read again when it changes.

    A file that can no longer be read changes nothing: the tokens read before stay in force. One
    that never could be read lets nobody in, until it can be.

    Args:
        file: Where they are.
        clock: Monotonic seconds.
    """

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock
        self._seen: tuple[int, ...] = ()
        self._digests: tuple[bytes, ...] = ()
        self._looked_s = -LOOK_S + clock()

    def admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Tell whether a request carries a token of the file."""
        self._look()
        given = sha256(_credentials(headers)).digest()
        found = False
        for digest in self._digests:  # all of them, so that the time tells nothing
            found |= hmac.compare_digest(digest, given)
        return found

    def _look(self) -> None:
        now_s = self._clock()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            stamp = _stamp(self._file)
            if stamp != self._seen:
                self._digests, self._seen = read_tokens(self._file), stamp
        except AccessError:
            return  # half written, or gone: what was read before stays in force


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        facts = file.stat()
    except OSError as error:
        raise AccessError(_unreadable(file, error)) from error
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def read_tokens(file: Path) -> tuple[bytes, ...]:
    """Return the digests of the tokens in a file.

    Raises:
        AccessError: It cannot be read, or holds no usable token.
    """
    try:
        with file.open("rb") as opened:
            lines = opened.read(MAX_FILE_BYTES).splitlines()
    except OSError as error:
        raise AccessError(_unreadable(file, error)) from error
    tokens = [line.partition(b"#")[0].strip() for line in lines]
    tokens = [token for token in tokens if token]
    if not tokens or min(map(len, tokens)) < FEWEST_CHARACTERS:
        raise AccessError(
            f"edge.token_file: {file} needs at least one token, each of at least "
            f"{FEWEST_CHARACTERS} characters, one a line"
        )
    return tuple(sha256(token).digest() for token in tokens)


def _unreadable(file: Path, error: OSError) -> str:
    return (
        f"edge.token_file: {file} cannot be read ({error.strerror}); make it, or clear the setting"
    )


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return what a request carries as its token, b"" for none (which no file can hold)."""
    for name, value in headers:
        if name == b"authorization" and value[: len(_SCHEME)].lower() == _SCHEME:
            return value[len(_SCHEME) :].strip()
    return b""


class Explained:
    """Who may be told why there was no bid.

    Args:
        networks: Their addresses, as in ``127.0.0.0/8``.

    Raises:
        AccessError: One is no network.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        try:
            self._networks = tuple(map(ipaddress.ip_network, networks))
        except ValueError as error:
            raise AccessError(
                f"edge.explain_from: {error}; write networks like 10.0.0.0/8"
            ) from error
        self._known: dict[str, bool] = {}

    def admits(self, address: str) -> bool:
        """Tell whether a caller with this address is one of them."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= MAX_CALLERS:
                self._known.clear()
            known = self._known[address] = self._is_inside(address)
        return known

    def _is_inside(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)
