"""What reading bytes from elsewhere may raise, in one place for all decoders of this package."""

from __future__ import annotations

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
"""What msgspec raises for bytes that are not what they should be: text that is no text, nesting
that is too deep and numbers that are too large come as errors of Python's own."""
