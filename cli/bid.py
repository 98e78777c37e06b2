"""``bidwright bid``: send bid requests and show what was decided."""

from __future__ import annotations

import json
import select
import time
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from cli.errors import CommandError, InvalidInputError
from cli.node import Node, node_options
from cli.output import emit, output_option, print_facts, print_table
from config.rates import MICROS_PER_CPM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cli.play.channel import Channel

_NAP_S = 0.05
_PATIENCE_S = 5.0
_RESEND_S = 1.0
_TABLES = frozenset({"steps", "candidates", "campaigns", "more"})


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--explain", is_flag=True, help="Ask how the decision came about.")
@click.option("--url", help="Address of a gateway; by default that of the running node.")
@output_option
@node_options
def bid(node: Node, file: BinaryIO, url: str | None, output: str, *, explain: bool) -> None:
    """Send the OpenRTB bid request in FILE (- for standard input) and show the answer.

    FILE holds one request, in JSON or MessagePack, or one JSON request a line; then there is one
    answer a line with -o json.
    """
    content = file.read()
    if not content.strip():
        raise InvalidInputError("FILE holds no request: it is empty")
    bodies = list(bodies_in(content, explain=explain))
    if url is None:
        refuse_oversize(bodies, node.running_settings().gateway.max_body_bytes)
    answers = ask_gateway([url] if url else node.gateway_urls(), bodies)
    refuse_strangers(answers)
    if output == "json" and len(answers) > 1:
        for answer in answers:
            click.echo(json.dumps(answer, ensure_ascii=False))
        return
    for answer in answers:
        emit(answer, output, print_decision)


def bodies_in(content: bytes, *, explain: bool) -> Iterator[bytes]:
    """Yield the request bodies in a file; what is no JSON is sent as it is.

    Args:
        content: The file.
        explain: Set ``ext.bidwright.explain`` in each.
    """
    whole = _json_object(content)
    if whole is not None:
        yield _body(whole, explain=explain)
        return
    lines = [line for line in content.splitlines() if line.strip()]
    objects = [_json_object(line) for line in lines]
    if not any(found is not None for found in objects):
        yield content
        return
    for line, found in zip(lines, objects, strict=True):
        yield line if found is None else _body(found, explain=explain)


def refuse_oversize(bodies: Iterable[bytes], most_bytes: int) -> None:
    """Raise an InvalidInputError for a request that the gateway would drop without an answer."""
    for number, body in enumerate(bodies, 1):
        if len(body) > most_bytes:
            raise InvalidInputError(
                f"request {number} has {len(body):,} bytes, the gateway reads {most_bytes:,} at "
                "most; make it smaller, or start the node with a larger gateway.max_body_bytes",
            )


def refuse_strangers(answers: Iterable[Mapping[str, Any]]) -> None:
    """Raise a CommandError for an answer that no gateway gives."""
    for answer in answers:
        if not answer.keys() & {"id", "nbr", "seatbid"}:
            raise CommandError(
                f"what listens there is no gateway, it answered {json.dumps(answer)}; "
                "`bidwright status` tells the gateway's ports",
            )


def ask_gateway(urls: list[str], bodies: list[bytes]) -> list[dict[str, Any]]:
    """Send requests and return their answers, in the same order.

    Raises:
        CommandError: A request was not answered in time.
        NodeNotRunningError: No gateway is there.
    """
    from cli.play import lanes
    from cli.play.channel import Channel

    links = lanes.dial(urls)
    try:
        return _converse(Channel(links, _PATIENCE_S, _RESEND_S), bodies)
    finally:
        lanes.close(links)


def print_decision(answer: Mapping[str, Any]) -> None:
    """Print one answer for a person: the bids or the reason for none, then how it came about."""
    ext = answer.get("ext") or {}
    bids = [bid for seat in answer.get("seatbid", ()) for bid in seat.get("bid", ())]
    if bids:
        print_table(
            ("impression", "deal", "price (CPM)", "campaign", "creative", "size", "advertiser"),
            [_bid_row(bid, answer.get("cur", "USD")) for bid in bids],
            title=f"request {answer.get('id')}: bid",
            spare=("advertiser", "size", "deal"),
        )
    else:
        reason = ext.get("error") or ext.get("reason") or "no reason given"
        click.echo(f"request {answer.get('id', '?')}: no bid (nbr {answer.get('nbr')}): {reason}")
    explanation = ext.get("bidwright") or {}
    for impression in explanation.get("impressions", ()):
        _print_story(impression)


def _converse(channel: Channel, bodies: list[bytes]) -> list[dict[str, Any]]:
    answers: dict[int, bytes] = {}
    for index, body in enumerate(bodies):
        channel.submit(index, body, time.monotonic())
    while channel:
        select.select(list(channel.descriptors()), (), (), _NAP_S)
        for answer in channel.poll(time.monotonic()):
            if answer.body is None:
                raise CommandError(
                    f"request {answer.tag + 1} was not answered within {_PATIENCE_S:g} s; "
                    "see `bidwright status`"
                )
            answers[answer.tag] = answer.body
    return [_decoded(answers[index]) for index in range(len(bodies))]


def _decoded(body: bytes) -> dict[str, Any]:
    import msgspec

    from transport.messages import is_json

    decode = msgspec.json.decode if is_json(body) else msgspec.msgpack.decode
    answer = decode(body)
    return answer if isinstance(answer, dict) else {"answer": answer}


def _json_object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _body(found: dict[str, Any], *, explain: bool) -> bytes:
    from cli.play.traffic import with_explanation

    request = with_explanation(found) if explain else found
    return json.dumps(request, ensure_ascii=False).encode()


def _bid_row(bid: Mapping[str, Any], currency: str) -> list[object]:
    size = f"{bid['w']}x{bid['h']}" if bid.get("w") and bid.get("h") else ""
    domains = ", ".join(bid.get("adomain", ()))
    price = f"{bid.get('price', 0):.3f} {currency}"
    deal = bid.get("dealid", "")
    return [bid.get("impid"), deal, price, bid.get("cid"), bid.get("crid"), size, domains]


def _print_story(story: Mapping[str, Any]) -> None:
    told = {name: value for name, value in story.items() if name not in _TABLES}
    candidates = story.get("candidates") or ()
    told["candidates"] = len(candidates)
    facts = [_fact(name, value) for name, value in told.items() if value not in ("", None, [])]
    print_facts(facts, title="how it came about")
    if story.get("steps"):
        rows = [(step.get("step"), step.get("kind"), step.get("ms")) for step in story["steps"]]
        print_table(("step", "answered", "ms"), rows)
    words = [*(story.get("campaigns") or {}).items()]
    words += [(f"{count:,} more", reason) for reason, count in (story.get("more") or {}).items()]
    if words:
        print_table(("campaign", "what became of it"), words)


def _fact(name: str, value: object) -> tuple[str, object]:
    label = name.removesuffix("_micros").replace("_", " ")
    if name.endswith("_micros") and isinstance(value, int | float):
        return label, f"${value / MICROS_PER_CPM:,.3f} CPM"
    return label, _short(value)


def _short(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_short(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(str(_short(inner)) for inner in value)
    return value
