"""Pairwise testing: rows in which every two factors meet at every two of their levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from random import Random
from typing import TypeVar

L = TypeVar("L")

TRIES = 20


def pairwise_rows(levels: Sequence[L], factors: int, seed: int) -> list[tuple[L, ...]]:
    """Return rows of one level per factor that cover every pair of levels of every two factors.

    Greedy: each row takes a pair that is missing, and of some random rows with it the one that
    covers most others.
    """
    dice = Random(seed)
    columns = list(combinations(range(factors), 2))
    missing = {(place, pair) for place in columns for pair in product(range(len(levels)), repeat=2)}
    rows = []
    while missing:
        (left, right), (a, b) = dice.choice(sorted(missing))
        tries = []
        for _ in range(TRIES):
            row = [dice.randrange(len(levels)) for _ in range(factors)]
            row[left], row[right] = a, b
            tries.append(tuple(row))
        best = max(tries, key=lambda row: len(missing & set(_pairs(row))))
        missing -= set(_pairs(best))
        rows.append(tuple(levels[level] for level in best))
    return rows


def _pairs(row: Sequence[int]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for left, right in combinations(range(len(row)), 2):
        yield (left, right), (row[left], row[right])
