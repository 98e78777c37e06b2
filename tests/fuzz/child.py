"""One target under libFuzzer, in a process of its own: ``python -m tests.fuzz.child TARGET ...``.

The product's packages are instrumented, so that inputs which reach new code are kept and varied.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["transport", "actors", "config", "models"]):
    from tests.fuzz.targets import target_of


def main() -> None:
    """Fuzz the target named first; the rest is for libFuzzer."""
    target = target_of(sys.argv.pop(1))
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
