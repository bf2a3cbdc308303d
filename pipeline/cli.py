"""The command line: `outreach-activation`, and `python -m pipeline`."""

from __future__ import annotations

import click

from pipeline.console.flags import CommandGroup, Later

COMMANDS = {
    "clear": Later(
        "pipeline.commands.org.clear:clear_command",
        "Empties a field wherever it holds something.",
    ),
    "connect": Later(
        "pipeline.commands.connect:connect_command",
        "Connects one Outreach user by OAuth, and stores the tokens.",
    ),
    "dead-letters": Later(
        "pipeline.commands.ledger.dead_letters:dead_letters_command",
        "Lists what could not be read or delivered, and has it tried again.",
    ),
    "explain": Later(
        "pipeline.commands.ledger.explain:explain_command",
        "Says what each field of one prospect holds, and which change made it so.",
    ),
    "forget": Later(
        "pipeline.commands.ledger.forget:forget_command",
        "Removes a prospect from a ledger.",
    ),
    "listen": Later(
        "pipeline.commands.listen:listen_command",
        "Publishes what platforms post over HTTP to a topic, for streaming jobs.",
    ),
    "page": Later(
        "pipeline.commands.ledger.page:page_command",
        "A page in the browser for whoever looks after a ledger.",
    ),
    "plan": Later(
        "pipeline.commands.plan:plan_command",
        "Says what delivering some files takes, before anything is sent.",
    ),
    "pull": Later(
        "pipeline.commands.org.pull:pull_command",
        "Reads the org's prospects into a ledger, 1,000 with one request.",
    ),
    "reconcile": Later(
        "pipeline.commands.org.reconcile:reconcile_command",
        "Compares what fields should hold with what Outreach holds, and repairs it.",
    ),
    "release": Later(
        "pipeline.commands.ledger.release:release_command",
        "Lets an audience go that was held because it emptied at once.",
    ),
    "replay": Later(
        "pipeline.commands.replay:replay_command",
        "Delivers the audience changes in files, and ends when each has its outcome.",
    ),
    "report": Later(
        "pipeline.commands.ledger.report:report_command",
        "Writes what a ledger remembers to one HTML file.",
    ),
    "run": Later(
        "pipeline.commands.run:run_command",
        "The always-on job: delivers what is published to a subscription, until stopped.",
    ),
    "sandbox": Later(
        "pipeline.commands.sandbox:sandbox_command",
        "Starts a local Outreach: its API, its limits, and a page to look at.",
    ),
    "send-test": Later(
        "pipeline.commands.send_test:send_test_command",
        "Posts a record to a running door as a platform does, and shows the answer.",
    ),
    "status": Later(
        "pipeline.commands.ledger.status:status_command",
        "Says what has happened and what is waiting, from a ledger.",
    ),
    "validate": Later(
        "pipeline.commands.validate:validate_command",
        "Checks a destination file, and says what it will write where.",
    ),
}
"""Each command with where it is: a second goes by until all of them are imported."""


@click.group(
    cls=CommandGroup,
    later=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="outreach-activation")
def cli() -> None:
    """Carries audience membership changes into the custom fields of Outreach prospects."""


def main() -> None:
    """Entry point of `outreach-activation` and of `python -m pipeline`."""
    cli()
