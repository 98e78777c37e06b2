"""What can go wrong with a model, by who must act."""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors of this package. The message says what, where, and what to do next."""


class ModelMissingError(ModelError):
    """There are no weights where they were looked for: train them or correct the path."""


class ModelCorruptError(ModelError):
    """Files are there but differ from their manifest: train again or restore them."""


class UnknownModelError(ModelError):
    """A name that is not one of `models.TRAINABLE`."""


class FeatureError(ModelError):
    """A caller handed in features of the wrong shape or range: a bug in the caller."""


class EvaluationError(ModelError):
    """The data that a model is measured on can't be read: give the right folder."""
