"""The always-on job on a runner of Beam's, which keeps its state: the graph over a subscription."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState
from rich.console import Console
from rich.markup import escape

from pipeline.destination.file import Destination
from pipeline.destination.stage_config import (
    Place,
    delivery_of,
    plan_of,
    refuse_what_needs_a_ledger,
    remember_seconds_of,
)
from pipeline.graph import Activation
from pipeline.io.pubsub_source import DRAIN, ReadMessages
from pipeline.io.streaming_pull import PULLS
from pipeline.io.targets import OutputKind, check_subscription, is_local, is_topic, prepare
from pipeline.jobs.batch import directory_of
from pipeline.jobs.dataflow import started
from pipeline.jobs.report import RunResult
from pipeline.jobs.signals import draining
from pipeline.runners import (
    failing_as_ours,
    has_workers_here,
    is_dataflow,
    new_pipeline,
    runner_name,
)
from pipeline.summary import Counts, with_unmapped
from transforms.clock import steady
from transforms.errors import ActivationError, ConfigurationError
from transforms.mapping import Mapping
from transforms.stages.coalesce import Coalesce
from transforms.stages.patch import PatchProspects

CHECKPOINTING = "checkpointing_interval"
CHECKPOINT_MILLISECONDS = 10_000
"""On Flink, where nothing else is said: it takes none by itself, and acknowledges none without."""

WITHOUT_SPLITS = "prism_disable_sdf_split"
"""Where Prism 2.77 splits a bundle between two elements of one key, it lets another bundle have the
key before the first is done with it, and of the state that both leave keeps one's alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """What `run` was asked for, where a runner was named.

    Attributes:
      subscription: ``projects/P/subscriptions/S``.
      receipts: topic; None for none.
      dead_letters: topic.
      deferred: topic for what a drained job left; None for that of the dead letters.
      directory: path of a directory of prospects, where the destination needs one.
      beam_flags: passed on to Beam; they name the runner.
    """

    subscription: str
    receipts: str | None = None
    dead_letters: str | None = None
    deferred: str | None = None
    directory: str | None = None
    beam_flags: Sequence[str] = ()


def options_of(asked: Streaming) -> PipelineOptions:
    """Beam's options, with those that this job cannot do without."""
    flags = list(asked.beam_flags)
    runner = runner_name(PipelineOptions(flags))
    if "flink" in runner and not any(CHECKPOINTING in flag for flag in flags):
        flags.append(f"--{CHECKPOINTING}={CHECKPOINT_MILLISECONDS}")
    if "prism" in runner:
        flags.append(f"--experiments={WITHOUT_SPLITS}")
    return PipelineOptions(flags, streaming=True)


def activation_of(destination: Destination, asked: Streaming) -> Activation:
    """The graph, as any runner gets it."""
    place, plan = Place.of(destination), plan_of(destination)
    return Activation(
        plan=plan,
        coalesce=Coalesce(destination.delivery.hold_seconds, remember_seconds_of(destination)),
        patch=PatchProspects(place.base_url, place.accesses, delivery_of(destination)),
        receipts=asked.receipts,
        dead_letters=asked.dead_letters,
        deferred=asked.deferred,
        directory=directory_of(plan, asked.directory),
    )


def check_outputs(asked: Streaming, options: PipelineOptions) -> None:
    """Checks that each output of the job goes where it can be found afterwards.

    Raises:
      ConfigurationError: it would not be, and what mends that.
    """
    if asked.dead_letters is None:
        raise ConfigurationError(
            "without --dead_letters what Outreach refuses would be lost, since a runner keeps no"
            " ledger; name a topic: --dead_letters projects/PROJECT/topics/NAME"
        )
    outputs: tuple[tuple[str | None, OutputKind], ...] = (
        (asked.receipts, "receipts"),
        (asked.dead_letters, "dead letters"),
        (asked.deferred, "dead letters"),
    )
    for target, kind in outputs:
        if target is None or is_topic(target):
            continue
        if not (is_local(target) and has_workers_here(options)):
            raise ConfigurationError(
                f"{target} would be written by workers on other machines; name a topic:"
                " projects/PROJECT/topics/NAME"
            )
        prepare(target, kind, aside=False)


def run_streaming(destination: Destination, asked: Streaming, console: Console) -> RunResult | None:
    """Starts the job and, where its workers are here, waits for it and drains it on a signal.

    Returns:
      How it ended; None where it goes on without this process.

    Raises:
      ConfigurationError: an output would be lost.
      ActivationError: the job failed. What was not committed is still in the subscription.
    """
    began = steady()
    refuse_what_needs_a_ledger(destination)
    options = options_of(asked)
    check_outputs(asked, options)
    check_subscription(asked.subscription)
    pipeline = new_pipeline(options)
    activation_of(destination, asked).build(pipeline, ReadMessages(asked.subscription))
    unharmed = f"what was not committed is still in {asked.subscription}"
    DRAIN.open()
    with failing_as_ours(unharmed):
        result = pipeline.run()
    if is_dataflow(options) or not has_workers_here(options):
        console.print(escape(started(result)))
        return None
    console.print(f"pulling from {escape(asked.subscription)}; Ctrl-C drains and stops")
    with (
        draining(
            DRAIN.shut,
            lambda: DRAIN.is_shut,
            console,
            "draining; what is not sent becomes dead letters (deferred).",
        ),
        failing_as_ours(unharmed),
        closing(PULLS),
    ):
        state = result.wait_until_finish()
    if state != PipelineState.DONE:
        raise ActivationError(f"the job ended as {state}; {unharmed}")
    counts = Counts.of(result)
    summary, uncounted = counts.rough_summary(steady() - began)
    summary = with_unmapped(summary, counts.unmapped, Mapping(plan_of(destination)))
    if uncounted:
        console.print(
            f"the runner's own counters differ by {abs(uncounted):,} changes; what became of each"
            " is in the receipts"
        )
    return RunResult(summary, counts.reasons, counts.kept, (), {})
