"""What experiments can measure: the probes of their hypotheses.

Before the method they tell of the time since the exchange became steady; after it, of the time
since the method began, with final numbers: the first probe that needs them lets the exchange come
to its end. They return numbers or yes and no; the file's tolerances say what is good.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from cli.chaos import lab, records
from cli.patience import wait_until
from cli.play.summary import ratio

if TYPE_CHECKING:
    from cli.chaos.lab import Lab

_HTTP_TIMEOUT_S = 2.0
_OK = 200


def recovery_s(limit_s: float = 30.0) -> float:
    """Return the longest time from a fault to a whole tree, at most ``limit_s``, in seconds."""
    return round(lab.current().recovery_s(limit_s), 3)


def unanswered() -> int:
    """Return how many requests were never answered."""
    return lab.current().unanswered()


def late_share() -> float:
    """Return the share of the answers that came after the time that their request allowed."""
    here = lab.current()
    return ratio(here.total("late"), here.total("answered"))


def bid_share() -> float:
    """Return the share of the answers that had a bid."""
    here = lab.current()
    return ratio(here.total("with_bid"), here.total("answered"))


def fallback_share() -> float:
    """Return the share of the explained decisions in which a fallback took part."""
    here = lab.current()
    return ratio(here.total("with_fallback"), here.total("explained"))


def fallbacks() -> int:
    """Return in how many of the explained decisions a fallback took part."""
    return lab.current().total("with_fallback")


def logged_twice() -> int:
    """Return how many decisions and events a bidder made or told more than once."""
    here = lab.current()
    if here.phase == "after":
        here.finish()
    return records.logged_twice(here.target.paths, here.begun_ts)


def worst_ms() -> float:
    """Return the longest time that an answer took."""
    return max((float(row["max_ms"] or 0) for row in lab.current().rows()), default=0.0)


def restarts() -> int:
    """Return how many restarts there were."""
    return lab.current().count("restarts")


def crashes() -> int:
    """Return how many parts ended by a fault of their own, or were killed."""
    return lab.current().count("crashes")


def escalations() -> int:
    """Return how many supervisors gave up."""
    return lab.current().count("escalations")


def rebuilds() -> int:
    """Return how often the whole tree was built anew."""
    return lab.current().count("rebuilds")


def money_is_right() -> bool:
    """Return whether the ledger's rows prove that no money was lost, doubled or overspent."""
    return not lab.current().target.money()["violations"]


def silent() -> int:
    """Return how many bidders do not hear of their bids, or of the ledger, and so bid slowly."""
    look = lab.current().target.look() or {}
    return sum(bool((part.get("details") or {}).get("silent")) for part in look.values())


def http_answers(within_s: float = 10.0) -> bool:
    """Return whether the HTTP edge says within some time that the node is healthy."""
    here = lab.current()
    return wait_until(lambda: _is_healthy(here), within_s)


def metrics_arrive(within_s: float = 5.0) -> bool:
    """Return whether metrics reach the statsd server, which is switched on if need be."""
    here = lab.current()
    if here.sandbox is None:
        return True
    sink = here.sandbox.statsd
    sink.open()
    before = sink.packets
    return wait_until(lambda: sink.packets > before, within_s)


def _is_healthy(here: Lab) -> bool:
    ports = here.target.status().get("ports", {}).get("http") or ()
    try:
        for port in ports:
            url = f"http://127.0.0.1:{port}/healthz"
            with urllib.request.urlopen(url, timeout=_HTTP_TIMEOUT_S) as answer:
                if answer.status != _OK:
                    return False
    except (urllib.error.URLError, OSError):
        return False
    return bool(ports)
