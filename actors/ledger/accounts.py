"""The chart of accounts: every place where money can be, by name.

Principle: money is never made or lost, it moves between accounts, and all balances together are 0.
An advertiser's account goes negative by what was given to its campaigns; what a campaign was given
is then free, leased or spent, to the last micro.

| account | what its balance is |
| --- | --- |
| ``advertiser/DOMAIN`` | less than 0: budgets given to campaigns |
| ``campaign/ID/free`` | may be leased |
| ``campaign/ID/leased/DAY`` | out in leases that were granted on that day |
| ``campaign/ID/spent/DAY`` | won and booked on that day |
| ``campaign/ID/unfunded`` | won when no budget was left: recorded, not charged to the campaign |
| ``house/unfunded`` | less than 0: who pays for that |

A day is an ISO date. A slash or per cent sign in an id is written as in URLs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote, unquote

Part: TypeAlias = Literal["free", "leased", "spent", "unfunded", "advertiser", "house"]

#: Who pays for wins that no budget covered.
HOUSE: Final = "house/unfunded"


class Place(NamedTuple):
    """What an account's name says.

    Attributes:
        part: What it holds.
        owner: Campaign id or advertiser's domain; "" for the house.
        day: ISO date, "" where the account has none.
    """

    part: Part
    owner: str
    day: str = ""


def advertiser(domain: str) -> str:
    """Return the account that an advertiser's budgets come from."""
    return f"advertiser/{_plain(domain)}"


def free(campaign_id: str) -> str:
    """Return the account of a campaign's money that is neither leased nor spent."""
    return f"campaign/{_plain(campaign_id)}/free"


def leased(campaign_id: str, day: str) -> str:
    """Return the account of what is out in leases granted on ``day``."""
    return f"campaign/{_plain(campaign_id)}/leased/{day}"


def spent(campaign_id: str, day: str) -> str:
    """Return the account of what was booked on ``day``."""
    return f"campaign/{_plain(campaign_id)}/spent/{day}"


def unfunded(campaign_id: str) -> str:
    """Return the account of wins that no budget covered."""
    return f"campaign/{_plain(campaign_id)}/unfunded"


def place(account: str) -> Place:
    """Return what an account's name says.

    Raises:
        ValueError: It is no name of an account.
    """
    match account.split("/"):
        case ["advertiser", domain]:
            return Place("advertiser", unquote(domain))
        case ["house", "unfunded"]:
            return Place("house", "")
        case ["campaign", campaign_id, ("free" | "unfunded") as part]:
            return Place("free" if part == "free" else "unfunded", unquote(campaign_id))
        case ["campaign", campaign_id, ("leased" | "spent") as part, day]:
            return Place("leased" if part == "leased" else "spent", unquote(campaign_id), day)
        case _:
            raise ValueError(f"{account!r} is no name of an account")


def may_be_negative(account: str) -> bool:
    """Whether an account may owe: only those that money comes from."""
    return account == HOUSE or account.startswith("advertiser/")


# Quoting is a third of the cost of a booking, and the names are always the same ones.
@lru_cache(maxsize=8192)
def _plain(name: str) -> str:
    return quote(name, safe=" :;,!@$&'()*+=~")
