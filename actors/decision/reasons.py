"""Why there is no bid: every reason code that a decision may end with, and its OpenRTB number.

Principle: a no-bid without a reason is a bug that nobody finds. Codes are short snake_case words;
a detail may follow after a colon (``vetoed:blocked_category``). The number (``nbr``) is what an
exchange reads; the code is what a person, the decision log and the metrics read.
"""

from __future__ import annotations

from transport.openrtb import (
    NBR_BELOW_FLOOR,
    NBR_BLOCKED_SELLER,
    NBR_CRAWLER,
    NBR_INCOMPLETE_CHAIN,
    NBR_INSUFFICIENT_TIME,
    NBR_INVALID_REQUEST,
    NBR_LEDGER_AWAY,
    NBR_NO_BUDGET,
    NBR_NO_CAMPAIGN,
    NBR_NON_HUMAN,
    NBR_OVERLOADED,
    NBR_PROXY_IP,
    NBR_SLOW_MODE,
    NBR_TECHNICAL,
    NBR_UNKNOWN,
    NBR_USER_CAPPED,
    NBR_VETOED,
)

MALFORMED = "malformed"
INVALID_REQUEST = "invalid_request"
INSUFFICIENT_TIME = "insufficient_time"
OUT_OF_TIME = "out_of_time"
OVERLOADED = "overloaded"
DECIDER_DIED = "decider_died"
NO_CANDIDATE = "no_candidate"
INVALID_TRAFFIC = "invalid_traffic"
NO_BUDGET = "no_budget"
LEDGER_AWAY = "ledger_away"
SLOW_MODE = "slow_mode"
BUDGET_UNAVAILABLE = "budget_unavailable"
BELOW_FLOOR = "below_floor"
NOT_WORTH_FLOOR = "not_worth_floor"
NO_AGREED_PRICE = "no_agreed_price"
VETOED = "vetoed"
OVERSIGHT_UNAVAILABLE = "oversight_unavailable"
NOT_RESERVED = "not_reserved"
LOG_UNAVAILABLE = "log_unavailable"
NO_FALLBACK = "no_fallback"

NO_MONEY = frozenset({NO_BUDGET, LEDGER_AWAY, SLOW_MODE})
"""Why no campaign may spend."""

_NBR = {
    MALFORMED: NBR_INVALID_REQUEST,
    INVALID_REQUEST: NBR_INVALID_REQUEST,
    INSUFFICIENT_TIME: NBR_INSUFFICIENT_TIME,
    OUT_OF_TIME: NBR_INSUFFICIENT_TIME,
    OVERLOADED: NBR_OVERLOADED,
    DECIDER_DIED: NBR_TECHNICAL,
    NO_CANDIDATE: NBR_NO_CAMPAIGN,
    INVALID_TRAFFIC: NBR_NON_HUMAN,
    NO_BUDGET: NBR_NO_BUDGET,
    LEDGER_AWAY: NBR_LEDGER_AWAY,
    SLOW_MODE: NBR_SLOW_MODE,
    BUDGET_UNAVAILABLE: NBR_TECHNICAL,
    BELOW_FLOOR: NBR_BELOW_FLOOR,
    NOT_WORTH_FLOOR: NBR_BELOW_FLOOR,
    NO_AGREED_PRICE: NBR_BELOW_FLOOR,
    VETOED: NBR_VETOED,
    OVERSIGHT_UNAVAILABLE: NBR_TECHNICAL,
    NOT_RESERVED: NBR_NO_BUDGET,
    LOG_UNAVAILABLE: NBR_TECHNICAL,
    NO_FALLBACK: NBR_TECHNICAL,
}

_NBR_OF_DETAIL = {
    (INVALID_TRAFFIC, "bot_user_agent"): NBR_CRAWLER,
    (INVALID_TRAFFIC, "crawler"): NBR_CRAWLER,
    (INVALID_TRAFFIC, "datacenter_ip"): NBR_PROXY_IP,
    (NO_CANDIDATE, "frequency_cap"): NBR_USER_CAPPED,
    (NO_CANDIDATE, "incomplete_schain"): NBR_INCOMPLETE_CHAIN,
    (NO_CANDIDATE, "blocked_seller"): NBR_BLOCKED_SELLER,
}


def nbr_of(reason: str) -> int:
    """Return the OpenRTB number of a reason code, with or without a detail after a colon."""
    code, _, detail = reason.partition(":")
    particular = _NBR_OF_DETAIL.get((code, detail))
    return _NBR.get(code, NBR_UNKNOWN) if particular is None else particular


_LEAST_TELLING = ("private_auction", "not_in_open_auction")
_TELLING = (
    NO_CANDIDATE,
    NO_AGREED_PRICE,
    INVALID_TRAFFIC,
    NO_BUDGET,
    LEDGER_AWAY,
    SLOW_MODE,
    NOT_WORTH_FLOOR,
    BELOW_FLOOR,
    VETOED,
    NOT_RESERVED,
    BUDGET_UNAVAILABLE,
    OVERSIGHT_UNAVAILABLE,
    NO_FALLBACK,
    OUT_OF_TIME,
    OVERLOADED,
    DECIDER_DIED,
    LOG_UNAVAILABLE,
)


def is_more_telling(reason: str, than: str) -> bool:
    """Tell which reason says more about an impression that was looked at more than once.

    The look that came further says more; what went wrong says more than what was decided.
    """
    return _telling(reason) > _telling(than)


def _telling(reason: str) -> int:
    code, _, detail = reason.partition(":")
    if not code:
        return -1
    stage = _TELLING.index(code) if code in _TELLING else 0
    return 2 * stage + (detail not in _LEAST_TELLING)


def detailed(code: str, detail: str) -> str:
    """Join a code and its detail; an empty detail adds nothing."""
    return f"{code}:{detail}" if detail else code
