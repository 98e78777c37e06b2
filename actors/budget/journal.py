"""What happened to a bidder's wallet, kept by the cell for whoever holds the wallet next.

Principle: a call is noted before it changes anything, and a wallet is a function of the calls made
to it, so whoever dies in the middle of a message leaves either nothing of it or all of it. The next
budget manager repeats the calls and holds the same leases and reservations under the same name; it
then asks the ledger again for whatever may have been answered to the dead one, which the ledger
answers as it did before. Nothing of this is on a disk: with the bidder's process the journal is
gone, and what it had promised stays blocked in the ledger until its win windows are over.

Now and then the calls are replaced by the state that they led to, so that neither the journal nor a
restart grows with the life of the bidder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.budget.errors import JournalError
from actors.budget.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.budget.holdings import HeldLease, WalletState
    from actors.budget.wallet import WalletTerms

#: With so many calls in it, a journal is worth replacing by the state that they led to.
MOST_CALLS: Final = 1024


class _Log(NamedTuple):
    """A state, and the calls since; replaced as a whole."""

    state: WalletState
    calls: list[tuple[Any, ...]]


class Journal:
    """The calls of one wallet after another of the same bidder."""

    def __init__(self) -> None:
        self._log: _Log | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no wallet has been held yet, or the last one was given up."""
        return self._log is None

    @property
    def is_long(self) -> bool:
        """Whether it is time for ``compact``."""
        return self._log is not None and len(self._log.calls) >= MOST_CALLS

    def __len__(self) -> int:
        """Return how many calls there are since the state."""
        return 0 if self._log is None else len(self._log.calls)

    def note(self, *call: Any) -> None:
        """Note a call by name and arguments. Call ``compact`` once before."""
        assert self._log is not None
        self._log.calls.append(call)

    def compact(self, wallet: Wallet) -> None:
        """Replace all calls by what the wallet holds now, which they led to."""
        self._log = _Log(wallet.freeze(), [])

    def forget(self) -> None:
        """Give the wallet up: the next one begins with nothing."""
        self._log = None

    def begin(self, terms: WalletTerms, bidder: str, incarnation: str) -> Wallet:
        """Return an empty wallet whose calls are noted here from now on."""
        wallet = Wallet(terms, bidder, incarnation, self.note)
        self.compact(wallet)
        return wallet

    def recover(self, terms: WalletTerms, bidder: str, now_s: float) -> Wallet:
        """Return a wallet that holds what the last one held; its calls are noted here.

        Args:
            terms: How to manage leases from now on.
            bidder: The bidder's name.
            now_s: The present moment.

        Raises:
            JournalError: It is empty, or what it led to is no sound wallet.
        """
        if self._log is None:
            raise JournalError("no wallet was held before: begin one")
        state, calls = self._log
        try:
            wallet = _repeated(Wallet(terms, bidder, state.incarnation), state, calls)
        except JournalError:
            # The last call ended the last holder, who told nobody of it: as if it never came.
            wallet = _repeated(Wallet(terms, bidder, state.incarnation), state, calls[:-1])
        for fault in faults_of(wallet):
            raise JournalError(f"it led to a wallet that is not sound ({fault}); begin anew")
        wallet.go_on(now_s)
        wallet.note = self.note
        self.compact(wallet)
        return wallet


def _repeated(wallet: Wallet, state: WalletState, calls: list[tuple[Any, ...]]) -> Wallet:
    """Have a wallet live through what is noted.

    Raises:
        JournalError: It can't.
    """
    wallet.thaw(state)
    for name, *arguments in calls:
        try:
            getattr(wallet, name)(*arguments)
        except Exception as error:
            raise JournalError(f"{name} can't be repeated: {error!r}; begin anew") from error
    return wallet


def faults_of(wallet: Wallet) -> Iterator[str]:
    """Yield in what respect a wallet promises money that it has not."""
    for lease in wallet.held().values():
        if (fault := _fault_of(lease)) is not None:
            yield f"lease {lease.lease_id}: {fault}"


def _fault_of(lease: HeldLease) -> str | None:
    if lease.free_micros < 0 or any(micros < 0 for micros in lease.reserved.values()):
        return "less than nothing is free or reserved"
    if lease.held_micros + lease.returned_micros > lease.granted_micros:
        return "more is free, reserved and returned than was granted"
    return None
