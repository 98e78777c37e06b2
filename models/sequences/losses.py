"""What is minimised: how surprising the next item was, over all items or an honest sample of them.

The loss decides more than the architecture: SASRec with the full softmax beats its published self,
which had one negative, by a third on MovieLens (Klenitskiy and Vasilev, RecSys 2023).

Letters: N places, D dimensions, V items, M candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def full_softmax(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy over all items.

    Args:
        logits: Of the items 1..V, shape ``(N, V)``.
        targets: 1..V, shape ``(N,)``.
        smoothing: Share of the target that is spread over all items.

    Returns:
        A scalar.
    """
    return functional.cross_entropy(logits, targets - 1, label_smoothing=smoothing)


def candidates(targets: Tensor, drawn: Tensor, items: int) -> tuple[Tensor, Tensor]:
    """Return the items to compare, and the log of the chance that each was to be among them.

    The targets of the batch are certain; the others come from a uniform draw, of which those that
    are targets are left out.

    Args:
        targets: 1..V, shape ``(N,)``.
        drawn: 1..V, drawn uniformly.
        items: V.

    Returns:
        Items in ascending order and ``log q``, each shape ``(M,)``.
    """
    certain = torch.zeros(items + 1, dtype=torch.bool, device=targets.device)
    certain[targets] = True
    both = torch.unique(torch.cat([targets, drawn]))  # (M,)
    own = certain[both]  # (M,)
    others = int((~own).sum())
    rest = max(items - int(own.sum()), 1)
    chance = torch.where(own, 1.0, max(others, 1) / rest)
    return both, torch.log(chance)


def sampled_softmax(logits: Tensor, log_q: Tensor, target_places: Tensor) -> Tensor:
    """Return the mean cross-entropy over candidates, corrected for how they were drawn.

    ``exp(logit - log q)`` makes the sum over candidates an unbiased estimate of the sum over all
    items (Bengio and Senecal 2008; Yi et al., RecSys 2019).

    Args:
        logits: Of the candidates, shape ``(N, M)``.
        log_q: Log of the chance to be a candidate, shape ``(M,)``.
        target_places: Which candidate is the target, shape ``(N,)``.

    Returns:
        A scalar.
    """
    return functional.cross_entropy(logits - log_q, target_places)


def scaled_cosines(vectors: Tensor, items: Tensor, scale: Tensor, *, half: bool) -> Tensor:
    """Return logits of items, shape ``(N, M)``.

    Args:
        vectors: Rows of length 1, shape ``(N, D)``.
        items: Rows of length 1, shape ``(M, D)``.
        scale: A scalar.
        half: Multiply in bfloat16, which is much of the time of a step.
    """
    if half:
        return ((scale * vectors).bfloat16() @ items.bfloat16().T).float()
    return scale * vectors @ items.T
