"""Repaint one picture in the style of another: the command line.

Options, progress and exit codes; the algorithm is in ``nst_utils``.
"""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback before there is anything to save

import argparse
import contextlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from nst import __version__
from nst.errors import ExitCode, NSTError, UsageError
from nst.parsers import Choice, switch
from nst.settings import GROUPS, OUTPUT, Settings
from nst.silence import silent_stderr
from nst.stopping import Stopping

if TYPE_CHECKING:
    from nst.batch import Batch
    from nst.console import Console
    from nst.jobs import Job
    from nst.studio import Studio

GALLERY_SECONDS = 60  # between two versions of a growing gallery

EXAMPLES = """\
examples:
  python nst_main.py
      the shipped photo in the shipped style
  python nst_main.py --content_image_filename photo.jpg --style_image_filename woodcut_wave.jpg
      your photo as a woodcut
  python nst_main.py --content_image_filename photo.jpg --preset painting
      the best picture at the size of a screen; --preset fast for one in seconds
  python nst_main.py --style_image_filename woodcut_wave.jpg mosaic_sun.jpg --style_weights 3 1
      three parts woodcut, one part mosaic
  python nst_main.py --alpha 0 --image_size 512x512 --preset painting
      a texture out of the style alone
  python nst_main.py --content_image_filename photos/ --style_image_filename "paintings/*.jpg"
      every photo in every style; stop it at any time, the same command goes on

exit codes:
  0 done, 1 some jobs of several failed, 2 wrong usage, 3 an input picture cannot be used, 4 VGG
  weights missing, damaged or not understood, 5 output cannot be written, 6 not enough memory,
  7 the optimisation diverged, 8 cluster unreachable, 70 a bug in this program, 130 interrupted,
  143 terminated (state saved)
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    _repair_streams()
    parser = build_parser()
    options = vars(parser.parse_args(arguments))
    quiet, verbose, log_json = (options.pop(name) for name in ("quiet", "verbose", "log_json"))
    try:
        settings = Settings(**options)
    except UsageError as error:
        parser.error(str(error))
    shown = None
    with Stopping() as stopping:
        try:
            from nst import console  # late, as everything heavy: a wrong flag answers at once

            shown = (console.JSONLog if log_json else console.Console)(settings, quiet)
            return run(settings, shown, stopping, verbose)
        except NSTError as error:
            message, code = str(error), error.exit_code
        except MemoryError:
            message, code = "not enough memory; use a smaller --image_size", ExitCode.MEMORY
        except ModuleNotFoundError as error:
            message = f"package {error.name} is missing: pip install -r requirements.txt"
            code = ExitCode.USAGE
        except BaseException:
            # Code in C that a signal falls into may raise anything in place of KeyboardInterrupt.
            if stopping.requested is None:
                traceback.print_exc()
                message = "this is a bug in this program; please report the lines above"
                code = ExitCode.BUG
            elif stopping.requested == signal.SIGINT:
                message, code = "interrupted", ExitCode.INTERRUPTED
            else:
                message, code = "terminated", ExitCode.TERMINATED
    if shown:
        shown.fail(message, code)
    else:
        print(f"nst_main.py: error: {message}", file=sys.stderr)
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; every setting's default, range and help come from ``Settings``."""
    parser = argparse.ArgumentParser(
        description="Repaint one picture in the style of another (Gatys et al. 2015).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    for spec in fields(Settings):
        options = {key: spec.metadata[key] for key in ("metavar", "nargs") if key in spec.metadata}
        parse, text = spec.metadata["parse"], spec.metadata["help"]
        if parse is switch:
            options["action"] = "store_true"
        else:
            default = spec.default if isinstance(spec.default, tuple) else [spec.default]
            text += f" (default: {' '.join(map(str, default))})".replace("None", "none")
            if isinstance(parse, Choice):
                options["metavar"] = "{" + ",".join(parse.words) + "}"
            if "nargs" not in options:
                options["type"] = _checked(parse)
        # What is not given is left out: ``Settings`` knows the preset's default.
        options["default"] = argparse.SUPPRESS
        groups[spec.metadata["group"]].add_argument(f"--{spec.name}", help=text, **options)
    shown = groups[OUTPUT].add_mutually_exclusive_group()
    for flag, text in (
        ("quiet", "print nothing but errors"),
        ("verbose", "print what TensorFlow has to say, too"),
        ("log_json", "print one JSON object for each event (see nst/events.schema.json)"),
    ):
        shown.add_argument(f"--{flag}", action="store_true", help=text)
    return parser


def run(settings: Settings, shown: "Console", stopping: Stopping, verbose: bool) -> ExitCode:
    """Make the pictures, showing progress; raises NSTError."""
    from nst import batch, gallery, jobs

    planned = batch.plan(settings)
    shown.plan(planned)
    single = None if planned.several else jobs.prepare(planned.single_settings())
    nst_utils = _load_tensorflow(shown, verbose)
    file = nst_utils.weights.find(settings.model_path, None if shown.quiet else shown.say)
    studio = nst_utils.Studio(file)
    if planned.several:
        for line in studio.describe(settings):
            shown.say(line)
    if settings.dry_run:
        return _foretell(planned, single, studio, shown, nst_utils.run_job)
    outcomes: list[batch.Outcome] = []
    written = time.monotonic()

    def done(outcome: batch.Outcome) -> None:
        nonlocal written
        outcomes.append(outcome)
        shown.end(outcome)
        if planned.several and time.monotonic() - written > GALLERY_SECONDS:
            gallery.write(Path(settings.output_dir))
            written = time.monotonic()

    def make(task: batch.Task, job: jobs.Job) -> None:
        def on_step(step: nst_utils.Step) -> None:
            shown.step(task, step)
            if step.iteration < step.epochs:
                stopping.check()

        def on_start(folder: nst_utils.RunFolder) -> None:
            stopping.gently = True
            shown.start(task, folder)

        def carry_out() -> nst_utils.RunFolder:
            try:
                brief = planned.several
                return nst_utils.run_job(job, shown.say, on_step, on_start, studio, brief)
            finally:
                stopping.gently = False

        batch.attempt(task, carry_out, planned, done)

    try:
        if settings.cluster:
            from nst import cluster, driver, runs  # late, as they take long

            with cluster.Cluster(settings.cluster, shown.say) as connected:
                if single and runs.foresee(single, studio).is_tiled:
                    studio = connected.tile_studio(studio)
                    make(planned.tasks[0], single)
                else:
                    stopping.gently = True
                    far = driver.Driver(connected, planned, studio.network, shown, done)
                    far.carry_out(lambda: stopping.requested is not None)
                    stopping.gently = False
        elif single:
            make(planned.tasks[0], single)
        else:
            for task, job in batch.pending(planned, file, done):
                stopping.check()
                make(task, job)
    except BaseException:
        if planned.several:
            with contextlib.suppress(OSError, NSTError):  # the first error is the one to tell
                gallery.write(Path(settings.output_dir))
        raise
    page = gallery.write(Path(settings.output_dir)) if planned.several else None
    shown.summary(planned, outcomes, page)
    return batch.exit_code(planned, any(outcome.error for outcome in outcomes))


def _foretell(
    planned: "Batch", single: "Job | None", studio: "Studio", shown: "Console", run_job: Callable
) -> ExitCode:
    """Tell what would be made, and make nothing; raises NSTError."""
    from nst import batch

    if planned.settings.cluster:
        shown.say("          foretold for this machine, not for the cluster")
    if single:
        folder = run_job(single, shown.say, studio=studio)
        if folder.finished:
            shown.end(batch.made(planned.tasks[0], folder))
    foreseen = batch.foresee(planned, studio)
    shown.foretell(planned, foreseen)
    return batch.exit_code(planned, bool(foreseen.refusals))


def _load_tensorflow(shown: "Console", verbose: bool) -> ModuleType:
    """Import ``nst_utils``, with as much of TensorFlow's remarks as the user wants."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3")
    if sys.stderr.isatty():
        shown.say("Loading TensorFlow ...")
    with contextlib.nullcontext() if verbose else silent_stderr():
        import nst_utils
    if not verbose:
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    nst_utils.make_deterministic()
    return nst_utils


def _checked(parse: Callable) -> Callable:
    """Let argparse print the text of a ValueError after the name of the flag."""

    def typed(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


def _repair_streams() -> None:
    """Make stdout and stderr writable whatever they are: closed, or unable to show a name."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for the whole process)
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _leave(code: int) -> None:
    """End the process without waiting for an iteration that was given up."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
