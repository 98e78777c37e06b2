"""Who may ask over HTTP, and who is told why there was no bid."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from actors.edge.access import LOOK_S, Explained, Tokens, read_tokens
from actors.edge.errors import AccessError
from actors.edge.options import tls_context
from tests.actors.edges import World, in_world
from transport.codec import WireFormat, no_bid

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = b"0123456789abcdef", b"fedcba9876543210"
PATH = "/openrtb2/bid"
REQUEST = json.dumps({"id": "1", "imp": [{"id": "1"}], "ext": {"explain": 1}}).encode()


class Now:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def bearer(token: bytes, scheme: bytes = b"Bearer") -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"authorization", scheme + b" " + token)]


def test_a_token_of_the_file_lets_in_and_nothing_else_does(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(b"# ours\n" + FIRST + b"  # adx\n\n" + SECOND + b"\n")
    tokens = Tokens(file, Now())
    assert tokens.admits(bearer(FIRST))
    assert tokens.admits(bearer(SECOND, b"bearer"))
    for other in (bearer(FIRST[:-1]), bearer(b""), bearer(FIRST, b"Basic"), [], bearer(b"# ours")):
        assert not tokens.admits(other)


def test_a_file_that_changes_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file, now = tmp_path / "tokens", Now()
    file.write_bytes(FIRST)
    tokens = Tokens(file, now)
    assert tokens.admits(bearer(FIRST))
    file.write_bytes(SECOND)
    os.utime(file, ns=(1, 1))
    assert tokens.admits(bearer(FIRST)), "it is looked at now and then only"
    now.s += LOOK_S
    assert (tokens.admits(bearer(FIRST)), tokens.admits(bearer(SECOND))) == (False, True)
    file.write_bytes(b"short")
    now.s += LOOK_S
    assert tokens.admits(bearer(SECOND))
    file.unlink()
    now.s += LOOK_S
    assert tokens.admits(bearer(SECOND))


def test_without_its_file_nobody_comes_in_until_it_is_there(tmp_path: Path) -> None:
    file, now = tmp_path / "tokens", Now()
    tokens = Tokens(file, now)
    assert not tokens.admits(bearer(FIRST))
    file.write_bytes(FIRST)
    now.s += LOOK_S
    assert tokens.admits(bearer(FIRST))


@pytest.mark.parametrize("content", [None, b"", b"# nothing\n", b"short\n" + FIRST])
def test_a_useless_file_of_tokens_is_named_and_told_what_to_do(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(AccessError, match=f"edge.token_file: {file} ") as caught:
        read_tokens(file)
    assert FIRST.decode() not in str(caught.value)


def test_a_request_without_a_token_reaches_no_gateway(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(FIRST)

    async def story(world: World) -> None:
        bidder = world.bidder("g1", lambda _: no_bid("1", 8, WireFormat.JSON))
        await world.settle()
        stranger = await world.call("POST", PATH, REQUEST)
        assert (stranger.status, stranger.headers["www-authenticate"]) == (401, "Bearer")
        assert (stranger.body, bidder.asked) == (b"", [])
        known = await world.call("POST", PATH, REQUEST, headers=tuple(bearer(FIRST)))
        assert known.status == 200
        assert (await world.call("GET", "/healthz")).status == 200

    in_world(story, tokens=Tokens(file, Now()))


@pytest.mark.parametrize(
    ("address", "is_told"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.9.9.9", True),
        ("10.0.0.1", False),
        ("2001:db8::1", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_stories_are_for_the_networks_named(address: str, *, is_told: bool) -> None:
    explained = Explained(("127.0.0.0/8", "::1/128"))
    assert [explained.admits(address) for _ in range(2)] == [is_told] * 2


def test_a_network_that_is_none_is_told_so() -> None:
    with pytest.raises(AccessError, match=r"edge.explain_from: .*like 10.0.0.0/8"):
        Explained(("10.0.0.1/8",))


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 200), ("10.1.1.1", 204), (None, 204)])
def test_a_caller_without_the_right_is_answered_as_if_it_had_not_asked(
    client: str | None, status: int
) -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", lambda _: no_bid("1", 8, WireFormat.JSON))
        answer = await world.call("POST", PATH, REQUEST, client=client)
        assert answer.status == status
        (envelope,) = bidder.envelopes
        assert envelope is not None
        assert envelope.may_explain is (status == 200)

    in_world(story)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, signed by itself."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {chain}",
        shell=True,
        check=True,
        capture_output=True,
    )
    return chain, key


def test_a_certificate_and_its_key_make_a_context_and_others_say_which_is_wrong(
    tmp_path: Path,
) -> None:
    chain, key = make_certificate(tmp_path)
    assert tls_context(chain, key).get_ciphers()
    for wrong in ((tmp_path / "none", key), (chain, None), (chain, chain)):
        with pytest.raises(AccessError, match=r"edge\.tls_certificate"):
            tls_context(*wrong)
