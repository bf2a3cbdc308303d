"""What is wrong is said when a transform is made or the pipeline is built."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.typehints.decorators import TypeCheckError

from tests.transforms.connector.writing import AUDIENCES, OPS, PLAN
from transforms import (
    CoalesceChanges,
    IssueReceipts,
    MapToFields,
    ParseAudienceChanges,
    PatchProspects,
    WriteToOutreach,
)

pytestmark = pytest.mark.real


def test_a_list_of_paths_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match=r"such as \['jobTitle'\]"):
        ParseAudienceChanges(attributes="jobTitle")


@pytest.mark.parametrize(
    ("given", "stage", "said"),
    [
        ([1, 2], WriteToOutreach(users=[OPS], audiences=AUDIENCES), "WriteToOutreach takes bytes"),
        ([("k", "v")], WriteToOutreach(users=[OPS], audiences=AUDIENCES), "this collection is of"),
        ([1.5], ParseAudienceChanges(), "ParseAudienceChanges takes bytes"),
        (["text"], MapToFields(PLAN), "expected Union"),
        (["text"], CoalesceChanges(), "expected .*Change"),
        (["text"], PatchProspects("https://api.outreach.io", [OPS]), "expected .*Patch"),
        (["text"], IssueReceipts(), "expected .*Outcome"),
    ],
)
def test_elements_of_another_kind_are_refused_when_the_pipeline_is_built(
    given: list[Any], stage: beam.PTransform, said: str
) -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    with pytest.raises((TypeError, TypeCheckError), match=said):
        pipeline | beam.Create(given) | stage
