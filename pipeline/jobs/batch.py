"""A replay without a ledger: dry runs, and runners of other machines."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from rich.console import Console

from pipeline.console import progress
from pipeline.destination.file import Destination
from pipeline.destination.stage_config import (
    Place,
    delivery_of,
    plan_of,
    refuse_what_needs_a_ledger,
    remember_seconds_of,
)
from pipeline.graph import Activation
from pipeline.io.directory_file import ReadDirectory, read_head
from pipeline.io.files import ReadFiles, expand
from pipeline.io.headers import check_headers
from pipeline.io.targets import OutputKind, prepare
from pipeline.jobs.report import RunResult
from pipeline.jobs.signals import draining
from pipeline.runners import failing_as_ours, new_pipeline, other_runner
from pipeline.summary import Counts, with_unmapped
from transforms import mapping
from transforms.clock import steady
from transforms.errors import ConfigurationError
from transforms.formats.csv_rows import Columns
from transforms.matching import BY_ID
from transforms.stages.coalesce import Coalesce
from transforms.stages.patch import PatchProspects, Rehearse


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What `replay` was asked for.

    Attributes:
      files: paths and globs; see `pipeline.io.scratch` for standard input.
      receipts: path or topic; None for none.
      dead_letters: path or topic; None for none.
      dry_run: everything but the requests.
      ledger: path of the ledger to go through; None for none.
      lasting: whether that is to outlive the machine's death too.
      backfill: with a ledger, whether live changes go first.
      columns: names for the columns of tables; see `transforms.formats.csv_rows.rename`.
      mirror: the segment of which the files are the whole audience; None for none.
      report: path of an HTML file; None for none.
      directory: path of a directory of prospects; None for the ledger's own.
      digests: of the files that are known by their content alone, as standard input is.
      beam_flags: passed on to Beam.
    """

    files: Sequence[str]
    receipts: str | None = None
    dead_letters: str | None = None
    dry_run: bool = False
    ledger: str | None = None
    lasting: bool = True
    backfill: bool = False
    columns: Columns = ()
    mirror: str | None = None
    report: str | None = None
    directory: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    beam_flags: Sequence[str] = ()


def replay(destination: Destination, place: Place, asked: Replay, console: Console) -> RunResult:
    """Delivers the changes of files in one run of the graph, and keeps no state.

    Args:
      destination: what goes where.
      place: where to.
      asked: what to do.
      console: for progress, on standard error.

    Raises:
      ConfigurationError: a file to read is not there, or one to write cannot be written.
      AccountingError: changes and outcomes do not add up.
    """
    began = steady()
    if other_runner(asked.beam_flags):
        refuse_what_needs_a_ledger(destination)
    options = PipelineOptions(list(asked.beam_flags))
    paths = expand(asked.files)
    check_headers(paths, asked.columns, destination.identity.match)
    outputs: tuple[tuple[str | None, OutputKind], ...] = (
        (asked.receipts, "receipts"),
        (asked.dead_letters, "dead letters"),
    )
    earlier = {target: put for target, kind in outputs if target and (put := prepare(target, kind))}
    board = progress.fresh_board()
    plan = plan_of(destination)
    activation = Activation(
        plan=plan,
        coalesce=Coalesce(destination.delivery.hold_seconds, remember_seconds_of(destination)),
        patch=Rehearse()
        if asked.dry_run
        else PatchProspects(
            place.base_url, place.accesses, delivery_of(destination), progress.watch
        ),
        receipts=asked.receipts,
        dead_letters=asked.dead_letters,
        directory=directory_of(plan, asked.directory),
    )
    runner = other_runner(asked.beam_flags) or FnApiRunner()
    pipeline = new_pipeline(options, runner)
    activation.build(pipeline, ReadFiles(paths, columns=asked.columns))
    with (
        progress.shown(console, board),
        draining(
            board.drain,
            lambda: board.draining,
            console,
            "finishing the requests in flight; what is left becomes dead letters (deferred) that"
            " replay can take up.",
        ),
        unhurried_gc(),
        failing_as_ours("the input is as it was"),
    ):
        result = pipeline.run()
        result.wait_until_finish()
    counts = Counts.of(result)
    summary = with_unmapped(
        counts.summary(steady() - began, dry_run=asked.dry_run),
        counts.unmapped,
        mapping.Mapping(plan),
    )
    return RunResult(summary, counts.reasons, counts.kept, board.problems, earlier)


def directory_of(plan: mapping.Plan, path: str | None) -> ReadDirectory | None:
    """The directory in which a run without a ledger finds prospects; None where it needs none.

    Raises:
      ConfigurationError: it needs one, and none is named, or none that can be read.
    """
    if plan.match == BY_ID:
        return None
    if path is None:
        raise ConfigurationError(
            f"prospects are matched by {plan.match}, and there is no ledger to keep a directory of"
            " them; name one: --directory FILE, as outreach-activation pull --output FILE writes it"
        )
    read_head(path)
    return ReadDirectory(path)


@contextlib.contextmanager
def unhurried_gc() -> Iterator[None]:
    """Collects garbage seldom while the block lasts.

    A merge holds a million small tuples and no cycles; at Python's usual pace the collector
    walks over all of them again and again, which takes a third of the whole run.
    """
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
