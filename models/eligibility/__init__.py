"""Which ads may be shown at all: static rules, tried before anything that learns.

`CampaignIndex` finds them among any number of campaigns; the rules are data (`rules`), the index
over them is a matching tree (`tree`), and every rule has a reason code, because "why was there no
bid?" is what operators ask most.
"""

from __future__ import annotations

from models.eligibility.index import CampaignIndex, Candidate
from models.eligibility.question import Question
from models.eligibility.rules import REASONS, is_blocked_domain

__all__ = ["REASONS", "CampaignIndex", "Candidate", "Question", "is_blocked_domain"]
