"""Profiles: what holds for each person towards each purpose, as columns in which millions of rows look up at once.

Rules:
1. A profile is everything that a person's history says towards one controller on a stretch of time: the state for each
   purpose it names, for any other purpose, and for none. Persons who said the same have the same profile.
2. A profile together with a purpose gives the state that `Histories.states_at` gives; the tests hold the two together.
3. The profiles are made once, of histories that no longer change; whoever adds a record makes them anew.
4. Persons are found by a hash and compared by their whole token, so two tokens with one hash are still two persons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from streams.core.history import NOTHING_KNOWN, History, Stretches
from streams.core.instant import NEVER
from streams.core.life import Lives, same
from streams.core.subject_history import Histories
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
        # In the order in which they were made: that is how they lie in the memory, and twice as fast as by hash.
        known = dict(histories.items())
        self._persons = _Persons(list(known))
        self._build(list(known.values()))

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
        if len(rows) < len(refs):
            persons, controllers, instants = (each.gather(rows) for each in (persons, controllers, instants))
        towards, own = self._towards(persons, controllers)
        if towards is not None:
            rows, instants = rows.gather(towards), instants.gather(towards)
        # Most events come after all that is known of their person: then the last stretch is the one.
        found = self._last_profile.gather(own)
        earlier = (self._last_start.gather(own) > instants).arg_true()
        if len(earlier):
            held = self._stretch(own.gather(earlier), instants.gather(earlier))
            found = found.scatter(earlier, self._profile.gather(held))
        if towards is None and len(rows) == len(refs):
            return found
        profiles = pl.repeat(NOBODY, len(refs), dtype=pl.UInt32, eager=True)
        return profiles.scatter(rows, found) if len(rows) else profiles

    def _towards(self, own: pl.Series, wanted: pl.Series) -> tuple[pl.Series | None, pl.Series]:
        """Which of some persons (None for all) have a history towards the controller, and where each of them is."""
        here = self._is_towards(own, wanted)
        if here.all():
            return None, own
        rows = pl.int_range(len(own), dtype=pl.UInt32, eager=True)
        found = [(rows.filter(here), own.filter(here))]
        while len(rows):
            rows, own, wanted = (each.filter(~here) for each in (rows, self._next.gather(own), wanted))
            more = own >= 0
            rows, own, wanted = (each.filter(more) for each in (rows, own, wanted))
            here = self._is_towards(own, wanted)
            found.append((rows.filter(here), own.filter(here)))
        return pl.concat([each for each, _ in found]), pl.concat([each for _, each in found])

    def _is_towards(self, own: pl.Series, wanted: pl.Series) -> pl.Series:
        held = self._controller.gather(own)
        return (held == wanted) | (held == ANY_CONTROLLER)

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

    def _build(self, known: Sequence[History]) -> None:
        """Work out the profile of each shape once, and lay out beside it when each person's stretches begin."""
        lives = Lives(known, self.controller)
        numbers: list[int] = []
        profiles: list[int] = []
        for place, controller in lives.examples():
            numbers.append(len(profiles))
            own = [each for each in known[place] if self.controller(each.content.controller_id) == controller]
            profiles.extend(self._profiles(known[place], own[0].content.controller_id, own))
        table = pl.Series(profiles, dtype=pl.UInt32)
        said = lives.stretches.select(
            "person", "controller", "start", profile=table.gather(_series(numbers).gather(lives.shape) + lives.number)
        )
        apart = [
            (place, held, start, profile)
            for place in lives.apart
            for held, starts, found in self._stretches(known[place])
            for start, profile in zip(starts, found, strict=True)
        ]
        if apart:
            said = pl.concat([said, pl.DataFrame(apart, schema=said.schema, orient="row")])
            said = said.sort("person", "controller", "start")
        self._lay_out(said)

    def _lay_out(self, said: pl.DataFrame) -> None:
        """The stretches of all as columns: a person's first history at the person's number, any others in a chain."""
        first = said.select(~same("person", "controller")).to_series().arg_true().cast(pl.Int64)
        owner, held = self._persons.numbers.gather(said["person"].gather(first)), said["controller"].gather(first)
        persons, main = len(self._persons.refs), pl.select(~same(owner)).to_series()
        place = owner.zip_with(main, (~main).cum_sum().cast(pl.Int64) + (persons - 1))
        more = (~main).shift(-1).fill_null(value=False)
        none = pl.repeat(-1, len(owner), dtype=pl.Int64, eager=True)
        of_place = pl.repeat(-1, persons + int((~main).sum()), dtype=pl.Int64, eager=True)
        of_place = of_place.scatter(place, pl.int_range(len(place), eager=True))
        there = pl.select(pl.when(of_place >= 0).then(of_place)).to_series()
        self._first = first.gather(there).fill_null(said.height)
        self._count = (first.shift(-1).fill_null(said.height) - first).gather(there).fill_null(1)
        self._controller = held.gather(there).fill_null(ANY_CONTROLLER)
        self._next = place.shift(-1).zip_with(more, none).gather(there).fill_null(-1)
        # Behind them all the one stretch of whoever has none.
        self._start = pl.concat([said["start"], _series([-NEVER])], rechunk=True)
        self._profile = pl.concat([said["profile"], pl.Series([NOBODY], dtype=pl.UInt32)], rechunk=True)
        last = self._first + self._count - 1
        self._last_start, self._last_profile = self._start.gather(last), self._profile.gather(last)

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
            yield self.controller(controller_id), [-NEVER, *edges], self._profiles(history, controller_id, own)

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
        whole = named.to_frame().select("ref", bucket=pl.col("ref").hash() // self._shift).with_row_index("place")
        ordered = whole.sort("bucket", "ref")
        self.refs = ordered["ref"]
        self.numbers = pl.repeat(0, len(refs), dtype=pl.Int64, eager=True)
        """Of each of the tokens, in the order in which they were given, the number of its person."""
        if len(refs):
            self.numbers = self.numbers.scatter(ordered["place"], pl.int_range(len(refs), eager=True))
        buckets = pl.int_range(0, 2**64 // self._shift + 1, dtype=pl.UInt64, eager=True)
        self._begin = ordered["bucket"].search_sorted(buckets).cast(pl.UInt32)
        self._tokens = pl.concat([self.refs, pl.Series([None], dtype=pl.String)], rechunk=True)
        """With one that is nobody's, so that a bucket behind all of them begins somewhere."""

    def find(self, refs: pl.Series) -> pl.Series:
        """For each token the number of its person; -1 where it is none of a person.

        Nearly all are found at the first look, so that one is made at whole columns; the rest go on from there.
        """
        bucket = (refs.hash() // self._shift).cast(pl.UInt32)
        place = self._begin.gather(bucket)
        same = (self._tokens.gather(place) == refs).fill_null(value=False)
        if same.all():
            return place.cast(pl.Int64)
        found = place.cast(pl.Int64).zip_with(same, pl.Series([-1], dtype=pl.Int64))
        rows = (~same & refs.is_not_null()).arg_true()
        here, end, sought = place.gather(rows) + 1, self._begin.gather(bucket.gather(rows) + 1), refs.gather(rows)
        while len(rows):
            left = here < end
            rows, here, end, sought = (each.filter(left) for each in (rows, here, end, sought))
            same = self.refs.gather(here) == sought
            found = found.scatter(rows.filter(same), here.filter(same).cast(pl.Int64))
            rows, here, end, sought = (each.filter(~same) for each in (rows, here + 1, end, sought))
        return found


def _series(values: Sequence[int]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64)
