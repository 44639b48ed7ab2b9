"""Profiles: what holds for each person towards each purpose, as columns in which millions of rows look up at once.

Rules:
1. A profile is everything that a person's history says towards one controller on a stretch of time: the state for each
   purpose it names, for any other purpose, and for none. Persons who said the same have the same profile.
2. A profile together with a purpose gives the state that `Histories.states_at` gives; the tests hold the two together.
3. The profiles are made once, of histories that no longer change; whoever adds a record makes them anew.
4. Persons are found by a hash and compared by their whole token, so two tokens with one hash are still two persons.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import polars as pl

from streams.core.instant import NEVER
from streams.core.subject_history import NOTHING_KNOWN, Histories, History, Stretches
from streams.core.subject_state import Own

Profile = tuple[tuple[str | None, int], ...]
"""Purpose and state, sorted; the state for `OTHER` stands for every purpose that is not named."""
OTHER = "\x00"
"""No identifier of the contract, so it never is a purpose that somebody named."""
NOBODY = 0
"""The profile of whom no record speaks."""
ANY_CONTROLLER = -1
SPARSE = 4
"""So many places of the table a person: most are found at the first look."""


class Profiles:
    """The profiles of all persons of a view."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self._controllers: dict[str, int] = {}
        self._ids: dict[Profile, int] = {((OTHER, NOTHING_KNOWN), (None, NOTHING_KNOWN)): NOBODY}
        self._by_purpose: list[dict[str | None, int]] = [{OTHER: NOTHING_KNOWN, None: NOTHING_KNOWN}]
        self._shapes: dict[tuple[object, ...], list[int]] = {}
        self._persons = _Persons(list(histories))
        self._build()

    def controller(self, controller_id: str) -> int:
        """The number under which `at` knows a controller."""
        return self._controllers.setdefault(controller_id, len(self._controllers))

    def state(self, profile: int, purpose_id: str | None) -> int:
        """The state of a profile towards a purpose, as an index into `Histories.states`."""
        states = self._by_purpose[profile]
        return states[purpose_id] if purpose_id in states else states[OTHER]

    def at(self, refs: pl.Series, controllers: pl.Series, instants: pl.Series) -> pl.Series:
        """For each row the profile of its person towards its controller (its number) at its instant.

        A row without a person, or with one whom no record names, has the profile `NOBODY`.
        """
        persons = self._persons.find(refs)
        rows = (persons >= 0).arg_true()
        own = persons.gather(rows)
        wanted = controllers.gather(rows)
        rows, own = self._towards(rows, own, wanted)
        found = self._stretch(own, instants.gather(rows))
        profiles = pl.repeat(NOBODY, len(refs), dtype=pl.UInt32, eager=True)
        return profiles.scatter(rows, self._profile.gather(found)) if len(rows) else profiles

    def _towards(self, rows: pl.Series, own: pl.Series, wanted: pl.Series) -> tuple[pl.Series, pl.Series]:
        """The rows of which the person has a history towards the controller, and where it is."""
        found: list[tuple[pl.Series, pl.Series]] = []
        while len(rows):
            held = self._controller.gather(own)
            here = (held == wanted) | (held == ANY_CONTROLLER)
            if here.all():
                found.append((rows, own))
                break
            found.append((rows.filter(here), own.filter(here)))
            rows, own, wanted = (each.filter(~here) for each in (rows, self._next.gather(own), wanted))
            more = own >= 0
            rows, own, wanted = (each.filter(more) for each in (rows, own, wanted))
        if not found:
            return rows, own
        return pl.concat([each for each, _ in found]), pl.concat([each for _, each in found])

    def _stretch(self, own: pl.Series, instants: pl.Series) -> pl.Series:
        """The last stretch of each history that has begun, by halving."""
        first, counts = self._first.gather(own), self._count.gather(own)
        end = first + counts
        step = 1 << max(int(self._count.max() or 1) - 1, 0).bit_length()  # type: ignore[arg-type]  # integers
        while step := step // 2:
            rows = (counts > step).arg_true()
            place = first.gather(rows) + step
            inside = place < end.gather(rows)
            begun = inside & (self._start.gather(place.zip_with(inside, first.gather(rows))) <= instants.gather(rows))
            moved = place.zip_with(begun, first.gather(rows))
            first = moved if len(rows) == len(first) else first.scatter(rows, moved)
        return first

    # -- how they are made --------------------------------------------------------------------------------------------

    def _build(self) -> None:
        first, count, controller, following = array("q"), array("q"), array("q"), array("q")
        start, profile = array("q"), array("q")
        late: list[tuple[int, int, Sequence[int], Sequence[int]]] = []
        for place, ref in enumerate(self._persons.refs):
            history = self._histories.history(ref)
            assert history is not None, "a view knows the persons it names"
            stretches = list(self._stretches(history))
            following.append(-1)
            (held, starts, profiles), *others = stretches or [(ANY_CONTROLLER, [-NEVER], [NOBODY])]
            first.append(len(start))
            count.append(len(starts))
            controller.append(held)
            start.extend(starts)
            profile.extend(profiles)
            late.extend((place, *each) for each in others)
        for place, held, starts, profiles in late:  # whoever has a history towards several controllers: a chain
            following.append(following[place])
            following[place] = len(first)
            first.append(len(start))
            count.append(len(starts))
            controller.append(held)
            start.extend(starts)
            profile.extend(profiles)
        self._first, self._count = _series(first), _series(count)
        self._controller, self._next = _series(controller), _series(following)
        self._start, self._profile = _series(start), _series(profile).cast(pl.UInt32)

    def _stretches(self, history: History) -> Iterable[tuple[int, Sequence[int], Sequence[int]]]:
        """By controller the first instants of the stretches of a history, and the profile that holds on each."""
        if history.unreadable or history.conflicting:
            starts, states = history.stretches(self._histories, "", None)
            yield ANY_CONTROLLER, starts, [self._intern(((OTHER, state), (None, state))) for state in states]
            return
        by_controller: dict[str, Own] = {}
        for each in history:
            by_controller.setdefault(each.content.controller_id, []).append(each)
        for controller_id, own in by_controller.items():
            edges = sorted({edge for each in own for edge in (each.valid_from, each.valid_until) if edge < NEVER})
            rank = {edge: number for number, edge in enumerate(edges)}
            # The same claims in the same order give the same states, whoever made them and when.
            if len(own) > 1:
                own.sort(key=lambda each: (each.valid_from, each.record_id))
            shape = tuple(
                [part for each in own for part in (id(each.content), rank[each.valid_from], rank.get(each.valid_until))]
            )
            profiles = self._shapes.get(shape)
            if profiles is None:
                profiles = self._shapes[shape] = self._profiles(history, controller_id, own)
            yield self.controller(controller_id), [-NEVER, *edges], profiles

    def _profiles(self, history: History, controller_id: str, own: Own) -> list[int]:
        """The profiles on the stretches of a history towards one controller."""
        purposes = sorted({purpose for each in own for purpose in each.content.purposes})
        cuts: dict[str | None, Stretches] = {
            purpose: history.stretches(self._histories, controller_id, purpose) for purpose in (*purposes, OTHER, None)
        }
        lengths = {len(starts) for starts, _ in cuts.values()}
        assert len(lengths) == 1, "the stretches of a history do not depend on the purpose"
        return [
            self._intern(tuple((purpose, states[number]) for purpose, (_, states) in cuts.items()))
            for number in range(lengths.pop())
        ]

    def _intern(self, profile: Profile) -> int:
        other = dict(profile)[OTHER]
        whole = tuple((purpose, state) for purpose, state in profile if purpose in (None, OTHER) or state != other)
        known = self._ids.get(whole)
        if known is None:
            known = self._ids[whole] = len(self._by_purpose)
            self._by_purpose.append(dict(whole))
        return known


class _Persons:
    """A table of hashes in which many tokens are looked up at once; each person's place is its number."""

    def __init__(self, refs: Sequence[str]) -> None:
        self._shift = 2 ** max(64 - (SPARSE * len(refs) + 1).bit_length(), 1)
        named = pl.Series("ref", refs, dtype=pl.String)
        ordered = named.to_frame().select("ref", bucket=pl.col("ref").hash() // self._shift).sort("bucket", "ref")
        self.refs = ordered["ref"]
        buckets = pl.int_range(0, 2**64 // self._shift + 1, dtype=pl.UInt64, eager=True)
        self._begin = ordered["bucket"].search_sorted(buckets).cast(pl.Int64)

    def find(self, refs: pl.Series) -> pl.Series:
        """For each token the number of its person; -1 where it is none of a person."""
        bucket = (refs.hash() // self._shift).cast(pl.Int64)
        place, end = self._begin.gather(bucket), self._begin.gather(bucket + 1)
        found = pl.repeat(-1, len(refs), dtype=pl.Int64, eager=True)
        rows = ((place < end) & refs.is_not_null()).arg_true()
        while len(rows):
            here = place.gather(rows)
            same = self.refs.gather(here) == refs.gather(rows)
            found = found.scatter(rows.filter(same), here.filter(same))
            left = ~same & (here + 1 < end.gather(rows))
            rows, here = rows.filter(left), here.filter(left)
            place = place.scatter(rows, here + 1)
        return found


def _series(values: array[int]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64)
