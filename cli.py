"""The ``counterlight`` command: batch work on case sets, models and studies."""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Entry:
    """A command that has not been imported yet.

    Parameters
    ----------
    module
        Module whose ``command`` carries it out. It is imported when the command is called, so
        that ``--help`` and the statistics start without torch.
    summary
        What ``counterlight --help`` says of it.
    """

    module: str
    summary: str


_REFUSALS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EISDIR, errno.ENOTDIR,
    errno.ENAMETOOLONG,
)  # fmt: skip

COMMANDS: Mapping[str, Entry] = {
    "accounts": Entry("commands.accounts", "Who may sign in to a study; invitations."),
    "analyse": Entry("commands.analyse", "Statistics of a long table of ratings."),
    "audit": Entry("commands.audit", "Verify the hash chain of a study's record."),
    "bottleneck": Entry("commands.bottleneck", "Autoencoders of several sizes, compared."),
    "confounding": Entry("commands.confounding", "What the shape of the films gives away."),
    "demo": Entry("commands.demo", "Prepare and serve the embedded study of simulated films."),
    "evaluate": Entry("commands.evaluate", "How good explanations are, by six benches."),
    "explain": Entry("commands.explain", "Predictions and explanations of a case set."),
    "export": Entry("commands.export", "Ratings, assignments and codebook of a study."),
    "gallery": Entry("commands.gallery", "The page of the documentation with every method."),
    "import": Entry("commands.importing", "Films and reference standard into a case set."),
    "phantom": Entry("commands.phantom", "Simulated radiographs as a case set."),
    "plant": Entry("commands.plant", "Simulated findings blended into real normal films."),
    "power": Entry("commands.power", "How many readers and cases a study needs."),
    "prepare": Entry("commands.prepare", "Select, explain, allocate and freeze a study."),
    "report": Entry("commands.report", "Results of a study: page, tables, figures, checklist."),
    "screenshots": Entry("commands.screenshots", "The screenshots of the documentation."),
    "select-demo": Entry("commands.select_demo", "Search the films of the demo study."),
    "serve": Entry("commands.serve", "Open a prepared study in the browser."),
    "shortcut": Entry("commands.shortcut", "Which methods show a planted shortcut."),
    "simulate": Entry("commands.simulate", "Let simulated readers finish a study."),
    "train": Entry("commands.train", "Train a classifier or an autoencoder."),
}


class LazyGroup(click.Group):
    """A command group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command called ``cmd_name``; ``None`` if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name].module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="counterlight")
def cli() -> None:
    """Reader studies of explanations: from image files to a p-value."""


def main() -> None:
    """Run the command line; our own errors become one sentence on stderr and exit status 2."""
    try:
        cli(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        print("Interrupted; run the same command again to go on from here.", file=sys.stderr)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        sentence = explain_error(error)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
        sys.exit(2)


def explain_error(error: Exception) -> str | None:
    """Turn ``error`` into a sentence for a person, or ``None`` if it is our own mistake."""
    roots = {"DataError", "ExplainerError", "StudyError"}
    if roots & {cls.__name__ for cls in type(error).__mro__}:
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full while writing {error.filename or 'a file'}. "
            "Free some space and run the same command again."
        )
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return (
            f"{error.filename or 'A file'} cannot be used ({error.strerror}). "
            "Choose another place, or change its permissions, and run the command again."
        )
    return None


if __name__ == "__main__":
    main()
