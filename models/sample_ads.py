"""The sample ads as candidates, for training and evaluation outside of any auction."""

from __future__ import annotations

from config.campaigns import load_campaigns
from models.eligibility import Candidate
from models.opportunity import Slot


def sample_candidates() -> list[Candidate]:
    """Return a candidate for each creative of the sample campaigns, in file order."""
    return [
        Candidate(campaign, creative, Slot(creative.format, creative.w, creative.h))
        for campaign in load_campaigns()
        for creative in campaign.creatives
    ]
