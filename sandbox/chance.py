"""Seeded chance: every draw follows from the seed and its name alone, whatever came before.

Order, restarts and other tasks change nothing, which makes a run of many concurrent cases
reproducible.
"""

from collections.abc import Mapping
from hashlib import blake2b

_STEPS = 2.0**64


def draw(seed: int, *name: str | int) -> float:
    """Return the number in [0, 1) that belongs to `name` under `seed`."""
    key = "\x1f".join((str(seed), *map(str, name)))
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") / _STEPS


def happens(probability: float, seed: int, *name: str | int) -> bool:
    """Tell whether what has `probability` (0 to 1) happens; certainties cost no draw."""
    if probability <= 0:
        return False
    return probability >= 1 or draw(seed, *name) < probability


def between(low: float, high: float, seed: int, *name: str | int) -> float:
    """Return a number drawn evenly from [low, high)."""
    return low + (high - low) * draw(seed, *name)


def pick(weights: Mapping[str, float], seed: int, *name: str | int) -> str:
    """Return one key of `weights`, as likely as its share of their sum."""
    left = draw(seed, *name) * sum(weights.values())
    for choice, weight in weights.items():
        left -= weight
        if left < 0:
            return choice
    return choice
