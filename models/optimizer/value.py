"""What an impression is worth: chance of a click x chance of a conversion x its value.

The selector picks the ad that looks best, and what looks best is overrated on average (the
optimizer's curse), so its chance of a click is calibrated on chosen ads before money depends on it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from models.opportunity import DEVICE_KINDS
from models.registry import recall_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from models.eligibility import Candidate
    from models.opportunity import Opportunity

#: Name in the registry, and version of what the tensors mean.
NAME: Final = "optimizer"
SCHEMA: Final = 1

#: Weights of a conversion apart from the campaign's: match of user and ad, then one per kind of
#: device.
CONVERSION_FEATURES: Final = 1 + len(DEVICE_KINDS)

_SMALLEST: Final = 1e-7


class ValueModel:
    """Tells what impressions are worth, in micros of USD.

    Args:
        tensors: ``calibration`` (offset and slope of the click's log-odds), ``conversion``
            (weights), ``campaigns`` (log-odds by campaign), ``typical_campaign`` (for others),
            ``embeddings`` (by creative).
        labels: ``campaigns`` and ``creatives``: names of the rows.
        version: Of the weights.
    """

    def __init__(
        self, tensors: dict[str, NDArray[np.float64]], labels: dict[str, list[str]], version: str
    ) -> None:
        self._offset, self._slope = (float(x) for x in tensors["calibration"])
        self._match_weight = float(tensors["conversion"][0])
        self._device = dict(zip(DEVICE_KINDS, tensors["conversion"][1:].tolist(), strict=True))
        self._campaign = dict(zip(labels["campaigns"], tensors["campaigns"].tolist(), strict=True))
        self._typical_campaign = float(tensors["typical_campaign"][0])
        rows = tensors["embeddings"].astype(np.float32)
        self._embedding = dict(zip(labels["creatives"], rows, strict=True))
        self.version = version

    @classmethod
    def load(cls, folder: Path) -> ValueModel:
        """Load weights from a folder of the registry.

        Args:
            folder: With weights and manifest.

        Raises:
            ModelError: The folder holds no whole optimizer of this schema.
        """
        manifest, tensors = recall_tensors(folder, NAME, SCHEMA)
        wide = {name: array.astype(np.float64) for name, array in tensors.items()}
        return cls(wide, manifest.labels, manifest.version)

    def expected_value_micros(
        self,
        vector: NDArray[np.float32],
        candidate: Candidate,
        opportunity: Opportunity,
        predicted_ctr: float,
    ) -> float:
        """Return what showing an ad to a user is worth, in micros per impression.

        Args:
            vector: Of the user, shape ``(16,)``.
            candidate: The ad.
            opportunity: The impression.
            predicted_ctr: Chance of a click, as the selector predicts it.
        """
        click = self.click_chance(predicted_ctr)
        conversion = self.conversion_chance(vector, candidate, opportunity.device_kind)
        return click * conversion * candidate.campaign.value_per_conversion_micros

    def click_chance(self, predicted_ctr: float) -> float:
        """Return the calibrated chance of a click.

        Args:
            predicted_ctr: As the selector predicts it.
        """
        safe = min(max(predicted_ctr, _SMALLEST), 1.0 - _SMALLEST)
        return _chance(self._offset + self._slope * math.log(safe / (1.0 - safe)))

    def conversion_chance(
        self, vector: NDArray[np.float32], candidate: Candidate, device_kind: str
    ) -> float:
        """Return the chance that a click becomes a conversion.

        Args:
            vector: Of the user, shape ``(16,)``.
            candidate: The ad; campaigns and creatives that were never seen count as typical.
            device_kind: One of `DEVICE_KINDS`.
        """
        embedding = self._embedding.get(candidate.creative.id)
        match = 0.0 if embedding is None else float(embedding @ vector)
        campaign = self._campaign.get(candidate.campaign.id, self._typical_campaign)
        return _chance(campaign + self._match_weight * match + self._device.get(device_kind, 0.0))


def _chance(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))
