"""Coders: what is written is read again as it was, by this process and by any other."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_type_hints

import pytest
from apache_beam import coders
from apache_beam.coders.coder_impl import FastPrimitivesCoderImpl
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.pipeline_context import PipelineContext
from hypothesis import given
from hypothesis import strategies as st

from transforms.coders import ChangeCoder, ElementCoder, KnownCoder, PatchCoder
from transforms.elements import (
    AttributeChange,
    Block,
    Change,
    DeadLetter,
    MembershipChange,
    Outcome,
    Patch,
    Receipt,
)
from transforms.fold import Known
from transforms.stages.parse import Arrived

ELEMENTS = [
    *(Block, MembershipChange, AttributeChange, Change, Patch, Outcome, Receipt, DeadLetter),
    *(Known, Arrived),
]
CHANGE = Change(
    "0af1-1-custom4", 1, "ops", "custom4", '"in"', "seg", None, "realized", None, 2**62, retry=True
)
WHOLE = st.integers(-(2**63), 2**63 - 1)


def made(element: Any) -> st.SearchStrategy[Any]:
    """Any element of a kind, with lists for its sequences."""
    strategies: dict[object, st.SearchStrategy[Any]] = {
        int: WHOLE,
        int | None: st.none() | WHOLE,
        str: st.text(),
        str | None: st.none() | st.text(),
        bool: st.booleans(),
    }
    fields = {}
    for name, hint in get_type_hints(element).items():
        inner = getattr(hint, "__args__", (None,))[0]
        if hint in strategies:
            fields[name] = strategies[hint]
        elif inner is bytes:
            fields[name] = st.lists(st.binary())
        else:
            fields[name] = st.lists(made(inner), max_size=3)
    return st.builds(element, **fields)


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.__name__)
def test_every_kind_of_element_is_read_as_it_was_written(element: type) -> None:
    coder = coders.registry.get_coder(element)

    @given(made(element))
    def check(value: Any) -> None:
        again = coder.decode(coder.encode(value))
        assert again == value
        assert type(again) is element

    check()


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.__name__)
def test_no_field_is_pickled_and_equal_elements_are_written_alike(element: type) -> None:
    coder = coders.registry.get_coder(element)
    assert type(coder) is ElementCoder
    assert coder.is_deterministic()
    for component in coder.components:
        assert not isinstance(component.get_impl(), FastPrimitivesCoderImpl)


def test_elements_within_elements_keep_their_class() -> None:
    for value in (Patch(1, "ops", [CHANGE]), Outcome("delivered", [CHANGE], 0)):
        coder = coders.registry.get_coder(type(value))
        again = coder.decode(coder.encode(value))
        assert again == value
        assert [type(change) for change in again.changes] == [Change]


def test_lists_of_elements_are_rows_too() -> None:
    coder = coders.registry.get_coder(list[Change])
    assert coder.decode(coder.encode([CHANGE, CHANGE])) == [CHANGE, CHANGE]
    assert type(coder.decode(coder.encode([CHANGE]))[0]) is Change


def test_the_coders_of_state_read_what_they_write() -> None:
    known = ("custom4", Known("null", None, 7))
    for coder, value in (
        (ChangeCoder(), CHANGE),
        (PatchCoder(), Patch(1, "ops", [CHANGE])),
        (KnownCoder(), known),
    ):
        assert coder.decode(coder.encode(value)) == value
    assert type(KnownCoder().decode(KnownCoder().encode(known))[1]) is Known


def test_a_change_is_written_in_the_bytes_of_its_fields_and_little_more() -> None:
    text = sum(len(field) for field in CHANGE if isinstance(field, str))
    assert len(ChangeCoder().encode(CHANGE)) < text + 30


WORKER = """
import sys
from apache_beam.coders import Coder
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.pipeline_context import PipelineContext

proto = beam_runner_api_pb2.Coder.FromString(bytes.fromhex(sys.argv[1]))
coder = Coder.from_runner_api(proto, PipelineContext())
patch = coder.decode(bytes.fromhex(sys.argv[2]))
kinds = [f"{type(it).__module__}.{type(it).__name__}" for it in (patch, *patch.changes)]
print(kinds, patch.changes[0].change_id)
"""


@pytest.mark.real
def test_a_worker_that_has_imported_nothing_meets_the_same_classes() -> None:
    coder = coders.registry.get_coder(Patch)
    proto = coder.to_runner_api(PipelineContext())
    assert isinstance(proto, beam_runner_api_pb2.Coder)
    written = coder.encode(Patch(1, "ops", [CHANGE]))
    arguments = [proto.SerializeToString().hex(), written.hex()]
    worker = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKER, *arguments],
        capture_output=True,
        check=True,
        text=True,
    )
    kinds = ["transforms.elements.Patch", "transforms.elements.Change"]
    assert worker.stdout == f"{kinds} {CHANGE.change_id}\n"
