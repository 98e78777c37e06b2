"""``bidwright ledger refund|adjust``: corrections, done once per key."""

from __future__ import annotations

import select
import uuid
from typing import TYPE_CHECKING

import click

from cli.errors import CommandError
from cli.ledger.place import plain
from cli.node import Node, node_options
from cli.output import dollars, emit, output_option, print_facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from transport.money import MoneyReply, MoneyRequest

#: How long the ledger has to answer, in seconds.
_PATIENCE_S = 10.0

_KEY_HELP = "Makes it happen once, however often it is sent. [default: a new one, which is printed]"
_REASON_HELP = "For those who read the journal later."


def _dollars_to_micros(_context: click.Context, _option: click.Parameter, text: str) -> int:
    from decimal import Decimal, InvalidOperation

    try:
        micros = Decimal(text.replace(",", "").removeprefix("$")) * 1_000_000
    except InvalidOperation as error:
        raise click.BadParameter(f"{text!r} is no amount; write dollars as in 12.50") from error
    if micros != int(micros):
        raise click.BadParameter(f"{text} has more than six places")
    return int(micros)


@click.command()
@click.argument("bid_key")
@click.option(
    "--amount",
    callback=_dollars_to_micros,
    default="0",
    help="How much of it, in dollars. [default: all that is left]",
)
@click.option("--reason", default="", help=_REASON_HELP)
@click.option("--key", help=_KEY_HELP)
@output_option
@node_options
def refund(
    node: Node, bid_key: str, amount: int, reason: str, key: str | None, output: str
) -> None:
    """Give back what the win BID_KEY was booked at, or a part of it."""
    from transport.money_operators import Refund

    if amount < 0:
        raise click.BadParameter("a refund is more than 0; see `bidwright ledger adjust`")
    order = Refund(key or f"refund-{uuid.uuid4().hex[:12]}", bid_key, amount, reason)
    emit(plain(ask_ledger(node, order)), output, _print("refunded"))


@click.command()
@click.argument("campaign_id")
@click.option(
    "--amount",
    callback=_dollars_to_micros,
    required=True,
    help="In dollars: more than 0 charges the campaign, less than 0 credits it.",
)
@click.option("--reason", required=True, help=_REASON_HELP)
@click.option("--key", help=_KEY_HELP)
@output_option
@node_options
def adjust(
    node: Node, campaign_id: str, amount: int, reason: str, key: str | None, output: str
) -> None:
    """Charge CAMPAIGN_ID for something that is no win, or give it something back."""
    from transport.money_operators import Adjust

    order = Adjust(key or f"adjust-{uuid.uuid4().hex[:12]}", campaign_id, amount, reason)
    emit(plain(ask_ledger(node, order)), output, _print("charged"))


def ask_ledger(node: Node, order: MoneyRequest) -> MoneyReply:
    """Send an order to the running ledger, and return its answer.

    Raises:
        CommandError: It refused.
        NodeNotRunningError: No node is there.
    """
    from transport.money import MoneyRefused, decode_replies, encode_requests
    from transport.nng import NngLinks

    node.ask("status")  # says in words if there is no node
    client = NngLinks().client()
    try:
        client.dial(node.paths().ipc("ledger"))
        body = _converse(client, encode_requests([order]))
    finally:
        client.close()
    (reply,) = decode_replies(body)
    if isinstance(reply, MoneyRefused):
        raise CommandError(reply.error)
    return reply


def _converse(client: Any, body: bytes) -> bytes:
    """Send a frame as soon as there is a connection, and wait for its answer."""
    from supervision.clock import monotonic_clock

    clock = monotonic_clock()
    give_up_s = clock() + _PATIENCE_S
    sent = False
    while clock() < give_up_s:
        sent = sent or client.send(1, body)
        select.select([client.fileno(), client.change_fileno()], [], [], 0.1)
        client.take_changes()
        for reply in client.drain(1):
            return bytes(reply.body)
    raise CommandError(
        "the ledger did not answer; see `bidwright status`, and send the order again with the same"
        " --key"
    )


def _print(done: str) -> Callable[[dict[str, Any]], None]:
    def show(answer: dict[str, Any]) -> None:
        facts = [("campaign", answer["campaign_id"]), (done, dollars(answer["micros"]))]
        print_facts([*facts, ("key", answer["key"])])

    return show
