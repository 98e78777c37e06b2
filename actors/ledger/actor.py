"""The ledger behind its socket: the sole writer of money.

Principle: group commit. All frames that arrive within ``group_commit_s`` are one burst and one
transaction; replies leave after the commit, notices after the replies. An answer that was sent is
therefore always on disk, and a burst that was not committed was never answered, so its senders
send it again and nothing is booked twice.

When the disk fails, memory may be ahead of it, so everything is thrown away unanswered and begun
anew from the disk, for as long as it takes: a ledger without its disk is silent, and bidders
without a ledger answer without bids. It does not end, because one that ended again and again would
take the whole node along, and nobody would answer at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from actors.ledger.bookkeeping import Calendar
from actors.ledger.clerk import Clerk
from actors.ledger.errors import LedgerSchemaError, LedgerStoreError
from actors.ledger.store import LedgerStore
from supervision.actor import LightActor
from supervision.messages import Report
from transport.money import (
    MAX_MESSAGES,
    MONEY_TOPIC,
    MoneyFrameError,
    MoneyNotice,
    MoneyRefused,
    MoneyReply,
    MoneyRequest,
    decode_requests,
    encode_notices,
    encode_replies,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.ledger.books import BudgetPlan
    from actors.ledger.configuration import LedgerConfig
    from actors.ledger.rows import Changes
    from supervision.clock import Clock
    from transport.faults import Link
    from transport.frames import LinkFactory, PublisherLink, ServerLink

#: How often leases whose win window is over are closed, in seconds.
EXPIRE_EVERY_S: Final = 0.25
#: How often it is told how the campaigns stand whose money moved, in seconds,
STANDINGS_EVERY_S: Final = 1.0
#: and every so many times how all of them do.
ALL_STANDINGS_EVERY: Final = 10
#: Frames taken from the socket in one turn.
FRAMES_PER_TURN: Final = 256
#: How long a ledger whose disk failed waits before it looks again, in seconds.
REOPEN_S: Final = 1.0
#: How long to wait before answers are handed over again that their peers were not ready for, in
#: seconds.
PUSH_S: Final = 0.002
#: A burst of this many messages is committed without waiting for more.
BURST_MESSAGES: Final = 4096

_COMMIT: Final = "commit"
_EXPIRE: Final = "expire"
_PUSH: Final = "push"
_REOPEN: Final = "reopen"
_STANDINGS: Final = "standings"


class _Frame(msgspec.Struct, frozen=True, gc=False):
    """A request frame that waits for the commit."""

    header: bytes
    messages: tuple[MoneyRequest | MoneyRefused, ...]


class LedgerActor(LightActor):
    """Answers money frames, one durable transaction per burst.

    Args:
        config: Where it lives and how it lends.
        plans: Every campaign's budget, by campaign id. An existing database takes the new budgets
            and keeps what is settled and leased; campaigns not named get no new lease.
        links: Makes its sockets.
        unix_clock: Seconds since 1970: says which day it is.
    """

    def __init__(
        self,
        config: LedgerConfig,
        plans: Mapping[str, BudgetPlan],
        links: LinkFactory,
        unix_clock: Clock,
    ) -> None:
        super().__init__()
        self._config = config
        self._plans = plans
        self._links = links
        self._calendar = Calendar(unix_clock, ZoneInfo(config.timezone))
        self._frames: list[_Frame] = []
        self._waiting = 0
        self._counts = {"bursts": 0, "messages": 0, "settlements": 0, "refused": 0, "dropped": 0}
        self._largest_burst = 0
        self._standings_told = 0
        self._pushing = False
        self._store: LedgerStore | None = None
        self._server: ServerLink | None = None
        self._publisher: PublisherLink | None = None
        self._clerk: Clerk | None = None
        self._trouble = ""

    def on_start(self) -> ThespianWatch:
        """Open the books; with a disk that fails, as soon as it is well.

        Raises:
            LedgerSchemaError: The database is newer than this code; waiting would not help.
        """
        self.wake_after(EXPIRE_EVERY_S, _EXPIRE)
        self.wake_after(STANDINGS_EVERY_S, _STANDINGS)
        try:
            return self._open()
        except LedgerStoreError as error:
            return self._wait_for_disk(error)

    def on_stop(self, reason: Any) -> None:
        """Book what has been read already; what has not been, its senders send again."""
        self._commit()
        if self._clerk is not None:
            self._write(self._clerk.take_changes())

    def on_end(self) -> None:
        """Close the sockets and the database."""
        self._shut()

    def receiveMessage(self, message: Any, sender: Any) -> ThespianWatch | None:
        """Read frames, commit bursts, close leases."""
        try:
            return self._handle(message)
        except LedgerStoreError as error:
            return self._wait_for_disk(error)

    def _handle(self, message: Any) -> ThespianWatch | None:
        match message:
            case WatchMessage() if self._server is not None:
                self._read()
            case WakeupMessage(payload="commit"):
                self._commit()
            case WakeupMessage(payload="push"):
                self._pushing = False
                self._push()
            case WakeupMessage(payload="expire"):
                self.wake_after(EXPIRE_EVERY_S, _EXPIRE)
                self._expire()
            case WakeupMessage(payload="standings"):
                self.wake_after(STANDINGS_EVERY_S, _STANDINGS)
                self._tell_standings()
            case WakeupMessage(payload="reopen"):
                return self._open()
            case _:
                pass  # not for us
        return None

    # --- the disk --------------------------------------------------------------------------------

    def _open(self) -> ThespianWatch:
        """Read the disk, set the budgets, and only then listen."""
        self._store = LedgerStore(self._config.opened(), self.cell.fresh_id)
        snapshot = self._store.snapshot()
        self._clerk = Clerk(self._config.terms, snapshot, self.cell.clock(), self._calendar)
        self._clerk.seed(self._plans)
        self._store.commit(self._clerk.take_changes())
        self._publisher = self._links.publisher()
        self._publisher.listen(self._config.publish_url)
        self._server = self._links.server()
        # A slow commit answers more frames at once than a peer takes in one go.
        self._server.hold_replies()
        self._server.listen(self._config.url)
        self._trouble = ""
        return ThespianWatch([self._server.fileno()])

    def _wait_for_disk(self, error: LedgerStoreError) -> ThespianWatch:
        """Throw away all that may be ahead of the disk, and look again in a while."""
        if isinstance(error, LedgerSchemaError):
            raise error
        self._shut()
        if not self._trouble:
            self.cell.reporter(Report(self.myAddress.path, "ledger_closed", str(error)))
        self._trouble = str(error)
        self.wake_after(REOPEN_S, _REOPEN)
        return ThespianWatch([])

    def _shut(self) -> None:
        for resource in (self._server, self._publisher, self._store):
            if resource is not None:
                resource.close()
        self._server = self._publisher = self._store = self._clerk = None
        self._frames, self._waiting = [], 0

    # --- looked at from outside ------------------------------------------------------------------

    def links(self) -> Sequence[Link]:
        """See ``LightActor.links``."""
        return tuple(link for link in (self._server, self._publisher) if link is not None)

    def describe(self) -> dict[str, Any]:
        """Return counts and the sums of all campaigns, in micros."""
        if self._clerk is None:
            return {**self._counts, "trouble": self._trouble}
        campaigns = self._clerk.campaigns.values()
        return {
            **self._counts,
            "largest_burst": self._largest_burst,
            "repeated": self._clerk.repeated,
            "conflicting": self._clerk.conflicting,
            "head": str(self._clerk.head),
            "open_leases": len(self._clerk.leases),
            "campaigns": len(campaigns),
            "budget_micros": sum(campaign.budget_micros for campaign in campaigns),
            "settled_micros": sum(campaign.settled_micros for campaign in campaigns),
            "leased_micros": sum(campaign.leased_micros for campaign in campaigns),
        }

    # --- frames ----------------------------------------------------------------------------------

    def _expire(self) -> None:
        if self._clerk is None:
            return
        self._clerk.expire(self.cell.clock())
        self._write(self._clerk.take_changes())
        self._tell(self._clerk)

    def _read(self) -> None:
        assert self._server is not None
        for header, body in self._server.drain(FRAMES_PER_TURN):
            try:
                messages = decode_requests(body)
            except MoneyFrameError as error:
                self._counts["refused"] += 1
                self._answer(header, [MoneyRefused(str(error))])
                continue
            if not self._frames:
                self.wake_after(self._config.group_commit_s, _COMMIT)
            self._frames.append(_Frame(header, messages))
            self._waiting += len(messages)
            self._counts["refused"] += sum(isinstance(each, MoneyRefused) for each in messages)
        if self._waiting >= BURST_MESSAGES:
            self._commit()
        self._push()

    def _commit(self) -> None:
        """Decide and book the burst, then answer it."""
        if not self._frames:
            return
        assert self._store is not None
        assert self._clerk is not None
        frames, self._frames, self._waiting = self._frames, [], 0
        burst = [
            message
            for frame in frames
            for message in frame.messages
            if not isinstance(message, MoneyRefused)
        ]
        now_s = self.cell.clock()
        self._clerk.expire(now_s)
        found = self._store.find(self._clerk.wanted(burst))
        replies = self._clerk.handle(burst, found, now_s)
        if self._config.answers_after_commit:
            self._write(self._clerk.take_changes())
        self._answer_all(frames, replies)
        self._push()
        self._tell(self._clerk)
        self._counts["bursts"] += 1
        self._counts["messages"] += len(burst)
        self._largest_burst = max(self._largest_burst, len(burst))

    def _answer_all(self, frames: list[_Frame], replies: list[MoneyReply]) -> None:
        """Answer each frame with the replies to its messages, which stand in their order."""
        in_order = iter(replies)
        for frame in frames:
            self._answer(
                frame.header,
                [
                    message if isinstance(message, MoneyRefused) else next(in_order)
                    for message in frame.messages
                ],
            )

    def _write(self, changes: Changes) -> None:
        assert self._store is not None
        self._store.commit(changes)
        self._counts["settlements"] += len(changes.settlements)

    def _answer(self, header: bytes, replies: list[MoneyReply]) -> None:
        assert self._server is not None
        if not self._server.reply(header, encode_replies(replies)):
            # The sender asks again, and gets the same answer then.
            self._counts["dropped"] += 1

    def _push(self) -> None:
        """Hand over answers that their peers were not ready for; again in a moment, if need be."""
        if self._server is not None and not self._pushing and self._server.push():
            self._pushing = True
            self.wake_after(PUSH_S, _PUSH)

    def _tell(self, clerk: Clerk) -> None:
        """Publish what happened; whoever misses it finds out from its own lease's end."""
        self._publish(clerk.take_notices())

    def _tell_standings(self) -> None:
        """Publish how the campaigns stand that moved; now and then all, for those who came late."""
        if self._clerk is None:
            return
        self._standings_told += 1
        everyone = self._standings_told % ALL_STANDINGS_EVERY == 0
        self._publish(self._clerk.take_standings(everyone=everyone))

    def _publish(self, notices: Sequence[MoneyNotice]) -> None:
        assert self._publisher is not None
        for start in range(0, len(notices), MAX_MESSAGES):
            part = notices[start : start + MAX_MESSAGES]
            self._publisher.publish(MONEY_TOPIC, encode_notices(part))
