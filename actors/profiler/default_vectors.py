"""Default profiles as arrays: what is assumed of a user of whom nothing is known.

Principle: made once for each segment and then handed out again; nobody changes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from config.profiles import DefaultProfiles
    from models.opportunity import Opportunity


class DefaultVectors:
    """The vectors of ``config.profiles`` by opportunity.

    Args:
        profiles: Vectors by segment.
        max_segments: Segments kept as arrays; countries come from outside, so there is a bound.
    """

    def __init__(self, profiles: DefaultProfiles, max_segments: int = 20_000) -> None:
        self._profiles = profiles
        self._max_segments = max_segments
        self._arrays: dict[tuple[str, str, int | None], NDArray[np.float32]] = {}
        self.version = profiles.profiler_version

    def of(self, opportunity: Opportunity) -> NDArray[np.float32]:
        """Return the vector of the opportunity's segment, float32, shape ``(dim,)``, read-only."""
        segment = (opportunity.country, opportunity.device_kind, opportunity.category)
        array = self._arrays.get(segment)
        if array is None:
            array = np.array(self._profiles.vector(*segment), dtype=np.float32)
            array.flags.writeable = False
            if len(self._arrays) < self._max_segments:
                self._arrays[segment] = array
        return array
