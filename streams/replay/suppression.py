"""Small counts are not shown: neither as they are, nor so that a total or a neighbour gives them away.

A count of a few cases at one gate on one day can be one person, whom a colleague knows. So a report shows no count from
1 to below the cell size, nor one that gives such a count away by subtraction. What is known of a hidden count is only
that it belongs to a group with a known sum.

Suppressed is whatever counts persons: cases, judged events, breaches, withdrawals; so are the devices and hours of a
place whose events are hidden, since each stands for one. Shown as they are: messages by which nobody was judged
(rejected, repeated, replaced, contradicting, not known yet) and records, of the whole log, since coverage must say
exactly what is missing; devices, promises, hours and offsets besides, which are of no person.

Rules:
1. Of a group whose sum is shown, no small count can be computed by who knows the sum, the other counts and these rules.
   Small ones among larger ones hide each other where their sum leaves them open; else the smallest of the larger ones
   is hidden with them. Where all are small, all are hidden, the zeros too.
2. What a hidden count consists of is hidden whole.
3. A denominator is shown only where it bounds nothing that is hidden, and where what it leaves over, which no table
   shows, is no small count. The sum of denominators is shown where all of them are.
4. A zero is no person, and is shown where it gives nothing away. A cell size of 1 hides nothing; 2 would hide ones
   only, and so tell them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

CELL_SIZE = 5
"""The usual bound of official statistics for counts of persons."""

Shown: TypeAlias = int | None
"""A count as a report may show it; None is hidden."""


def total(count: int, cell_size: int) -> Shown:
    """A count that stands for itself."""
    return None if 0 < count < cell_size else count


def group(counts: Sequence[int], whole: Shown, cell_size: int) -> list[Shown]:
    """The counts of a group whose sum is shown as `whole`; with a hidden sum all of them are hidden."""
    if whole is None:
        return [None] * len(counts)
    assert whole == sum(counts), "the sum of a group is the sum of its counts"
    small = [count for count in counts if 0 < count < cell_size]
    large = [count for count in counts if count >= cell_size]
    if not small:
        return list(counts)
    if not large:
        return [None] * len(counts)
    # All that are as large as the smallest large one: a place among equals would tell which it is.
    least = cell_size if _open(small, cell_size) else min(large) + 1
    return [None if 0 < count < least else count for count in counts]


def _open(small: Sequence[int], cell_size: int) -> bool:
    """Whether each of some small counts might be another one, for who knows their number, their sum and their bound."""
    return len(small) >= 2 and len(small) < sum(small) < len(small) * (cell_size - 1) and sum(small) >= cell_size


def denominator(count: int, parts: Sequence[Shown], hidden_sums: Sequence[int], cell_size: int) -> Shown:
    """The count of which `parts` are a part, where it may be shown with the rest that it leaves over.

    A hidden part is at most `hidden_sums` of its own group: what is hidden there, as far as a reader can compute it.
    """
    rest = count - sum(part for part in parts if part is not None)
    if rest == 0 and None not in parts:
        return count
    most = sum(bound for part, bound in zip(parts, hidden_sums, strict=True) if part is None)
    return count if rest >= max(most, cell_size) else None


def hidden_sum(shown: Sequence[Shown], whole: Shown, cell_size: int) -> int:
    """What a reader knows of the sum of the hidden counts of a group: the sum, or its bound where it is hidden."""
    return cell_size - 1 if whole is None else whole - sum(count for count in shown if count is not None)
