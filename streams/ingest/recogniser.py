"""The recognisers whose output the gateway understands."""

from __future__ import annotations

from enum import StrEnum


class Recogniser(StrEnum):
    """The systems whose formats the gateway reads."""

    REKOGNITION = "rekognition"
    FRIGATE = "frigate"

    @property
    def scale(self) -> int:
        """The best score there is: Rekognition counts similarity from 0 to 100, Frigate from 0 to 1."""
        return 100 if self is Recogniser.REKOGNITION else 1
