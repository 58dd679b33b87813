"""The ``counterlight`` command: batch work on case sets, models and studies."""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping

import click

from commands.lazy import Entry, LazyGroup

_REFUSALS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EISDIR, errno.ENOTDIR,
    errno.ENAMETOOLONG,
)  # fmt: skip

COMMANDS: Mapping[str, Entry] = {
    "accounts": Entry("commands.accounts", "Who may sign in to a study; invitations."),
    "analyse": Entry("commands.analyse", "Statistics of a long table of ratings."),
    "audit": Entry("commands.audit", "Verify the hash chain of a study's record."),
    "bottleneck": Entry("commands.bottleneck", "Autoencoders of several sizes, compared."),
    "class-agreement": Entry(
        "commands.class_agreement", "How often a structure/class generator draws what it should."
    ),
    "confounding": Entry("commands.confounding", "What the shape of the films gives away."),
    "demo": Entry("commands.demo", "Prepare and serve the embedded study of simulated films."),
    "digits": Entry("commands.digits", "Visual rationales of handwritten digits, 9 to 4."),
    "evaluate": Entry("commands.evaluate", "How good explanations are, by six benches."),
    "explain": Entry("commands.explain", "Predictions and explanations of a case set."),
    "export": Entry("commands.export", "Ratings, assignments and codebook of a study."),
    "factors": Entry("commands.factors", "Style dimensions that move a classifier."),
    "gallery": Entry("commands.gallery", "The page of the documentation with every method."),
    "import": Entry("commands.importing", "Films and reference standard into a case set."),
    "import-masks": Entry("commands.import_masks", "Images with folders of masks into a case set."),
    "import-stylegan2": Entry(
        "commands.import_stylegan2", "Weights of a StyleGAN2-ADA generator of yours."
    ),
    "import-volumes": Entry(
        "commands.import_volumes", "Slices of NIfTI volumes with masks into a case set."
    ),
    "phantom": Entry("commands.phantom", "Simulated radiographs as a case set."),
    "plant": Entry("commands.plant", "Simulated findings blended into real normal films."),
    "power": Entry("commands.power", "How many readers and cases a study needs."),
    "prepare": Entry("commands.prepare", "Select, explain, allocate and freeze a study."),
    "rationale-figure": Entry(
        "commands.rationale_figure", "Five explanations of one film, side by side."
    ),
    "report": Entry("commands.report", "Results of a study: page, tables, figures, checklist."),
    "review": Entry("commands.review", "Clinical review: experts judge what dimensions change."),
    "screenshots": Entry("commands.screenshots", "The screenshots of the documentation."),
    "select-demo": Entry("commands.select_demo", "Search the films of the demo study."),
    "serve": Entry("commands.serve", "Open a prepared study in the browser."),
    "shortcut": Entry("commands.shortcut", "Which methods show a planted shortcut."),
    "simulate": Entry("commands.simulate", "Let simulated readers finish a study."),
    "train": Entry("commands.train", "Train a network, or measure one."),
    "translation": Entry(
        "commands.translation", "Images carried to the other side: the paper's tables."
    ),
}


@click.group(
    cls=LazyGroup, entries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
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
