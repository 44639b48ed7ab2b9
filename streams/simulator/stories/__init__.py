"""The stories of the simulated world, in the order in which they are told."""

from __future__ import annotations

from streams.simulator.stories.authority import (
    AuthorityWithEvidence,
    AuthorityWithoutEvidence,
    SearchThatNobodyAskedFor,
)
from streams.simulator.stories.family import ChildWithoutGuardian
from streams.simulator.stories.mall import EthnicityInferred, StrangerSearched
from streams.simulator.stories.neglect import NEGLECTS
from streams.simulator.stories.private_places import CameraInHotelRoom, CameraInToilet
from streams.simulator.stories.records import DeadFeed, IdNobodyLinked, PurposeNeverRegistered, UnregisteredCamera
from streams.simulator.stories.withdrawal import (
    MisplacedWithdrawal,
    WithdrawnAfter,
    WithdrawnAt,
    WithdrawnBefore,
)
from streams.simulator.stories.zoo import ZooThatSwitched
from streams.simulator.story import Story

STORIES: tuple[type[Story], ...] = (
    ZooThatSwitched,
    CameraInHotelRoom,
    CameraInToilet,
    EthnicityInferred,
    AuthorityWithEvidence,
    AuthorityWithoutEvidence,
    SearchThatNobodyAskedFor,
    WithdrawnBefore,
    WithdrawnAt,
    WithdrawnAfter,
    MisplacedWithdrawal,
    PurposeNeverRegistered,
    ChildWithoutGuardian,
    UnregisteredCamera,
    StrangerSearched,
    IdNobodyLinked,
    DeadFeed,
    *NEGLECTS,
)
"""Every story has a name of its own."""
