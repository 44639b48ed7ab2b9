"""The file of a comparison: whole, in the format of Prometheus, and without a person."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as plain_text

from streams.errors import InputError
from streams.metrics.replay_metric import CHANGES, write
from streams.replay.comparison import Difference
from streams.replay.rule_diff import Change

PERSON = "s_AAAAAAAAAAAAAAAAAAAAAA"


def test_the_file_has_every_change_of_each_rule_that_changed_the_denominator_and_the_time(tmp_path: Path) -> None:
    file = tmp_path / "consentinel.prom"
    changes = {("a.b", "no_longer_violating"): 3, (PERSON, "newly_violating"): 2}
    write(file, "compare", changes, compared=40, at=1_700_000_000)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in plain_text(file.read_text())
        for sample in family.samples
    }
    assert found["consentinel_replay_difference", "a.b", "no_longer_violating"] == 3
    assert found["consentinel_replay_difference", "a.b", "newly_violating"] == 0
    assert found["consentinel_replay_difference", "other", "newly_violating"] == 2
    assert found["consentinel_replay_compared",] == 40
    assert found["consentinel_replay_timestamp_seconds", "compare"] == 1_700_000_000
    assert [each.name for each in tmp_path.iterdir()] == ["consentinel.prom"]
    assert PERSON not in file.read_text()


def test_the_words_of_both_comparisons_are_the_values_of_the_label() -> None:
    assert set(CHANGES) == {*Difference, *Change}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "nowhere" / "file.prom", "compare", {}, compared=0, at=0.0)
