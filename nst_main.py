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
from typing import TYPE_CHECKING, Any

from nst import __version__, rerun
from nst.errors import ExitCode, NSTError, UsageError
from nst.parsers import Choice, Number, file_name, switch
from nst.settings import GROUPS, LIVE_PORT, OUTPUT, PICTURES, Settings
from nst.silence import silent_stderr
from nst.stopping import Stopping
from nst.terminal import red

if TYPE_CHECKING:
    from nst.batch import Outcome, Task
    from nst.console import Console
    from nst.jobs import Job
    from nst.run_folder import RunFolder
    from nst.step import Step

GALLERY_SECONDS = 60  # between two versions of a growing gallery
OF_COMMAND = ("from_run", "live", "quiet", "verbose", "log_json")  # not of the picture

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
  python nst_main.py --preset painting --live --animation mp4
      watch it form in the browser, and make a film of it
  python nst_main.py --from_run output/photo__woodcut_wave/run.json --epochs 300
      an earlier picture again, with one change

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
    given = vars(parser.parse_args(arguments))
    of_command = {name: given.pop(name) for name in OF_COMMAND}
    try:
        earlier = rerun.read(of_command["from_run"]) if of_command["from_run"] else None
        settings = earlier.settings(given) if earlier else Settings(**given)
        if of_command["quiet"] and of_command["live"] is None:
            raise UsageError("live: give a port, as --quiet does not tell which one it is")
    except UsageError as error:
        parser.error(str(error))
    shown = None
    with contextlib.ExitStack() as open_until_the_end:
        stopping = open_until_the_end.enter_context(Stopping())
        try:
            from nst import console  # late, as everything heavy: a wrong flag answers at once

            kind = console.JSONLog if of_command["log_json"] else console.Console
            shown = kind(settings, of_command["quiet"])
            if of_command["live"] is not False and not settings.dry_run:
                from nst.live import Both, Live

                live = Live(of_command["live"], stopping.ask, settings)
                open_until_the_end.callback(live.close)
                shown = Both(shown, live)
                shown.live(live.url)
            command = Command(settings, shown, stopping, earlier, given)
            return command.run(of_command["verbose"])
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
            print(red(f"nst_main.py: error: {message}", sys.stderr), file=sys.stderr)
        return code


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> None:
        """Print an error and end the program."""
        self.exit(ExitCode.USAGE, red(f"{self.prog}: error: {message}", sys.stderr) + "\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; every setting's default, range and help come from ``Settings``."""
    parser = Parser(
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
    groups[PICTURES].add_argument(
        "--from_run",
        metavar="RUN.JSON",
        type=_checked(file_name),
        help="make the picture of an earlier run again, from its run.json: same settings, and the "
        "same files, whose hashes are checked; options that are given beside it win",
    )
    groups[OUTPUT].add_argument(
        "--live",
        metavar="PORT",
        nargs="?",
        default=False,
        type=_checked(Number(int, 0, 65535)),
        help="show the picture as it forms, and a button that stops and saves, on a page of this "
        f"machine alone; its address is printed (port: {LIVE_PORT}, or any that is free)",
    )
    shown = groups[OUTPUT].add_mutually_exclusive_group()
    for flag, text in (
        ("quiet", "print nothing but errors"),
        ("verbose", "print what TensorFlow has to say, too"),
        ("log_json", "print one JSON object for each event (see nst/events.schema.json)"),
    ):
        shown.add_argument(f"--{flag}", action="store_true", help=text)
    return parser


class Command:
    """One call of the program: pictures are made, progress is shown, a gallery is kept."""

    def __init__(
        self,
        settings: Settings,
        shown: "Console",
        stopping: Stopping,
        earlier: rerun.Earlier | None,
        given: dict[str, Any],
    ) -> None:
        """Take what was asked for. earlier: a run that is made again; given: with these changes."""
        self.settings, self.shown, self.stopping = settings, shown, stopping
        self.earlier, self.given = earlier, given
        self._kept = None  # number type and tiles, where the very same picture is made again
        if earlier and earlier.unchanged(given):
            self._kept = earlier.evaluation
        self.outcomes: list[Outcome] = []
        self._written = time.monotonic()  # the gallery
        self._begun = False

    def run(self, verbose: bool) -> ExitCode:
        """Make the pictures; raises NSTError."""
        from nst import batch, jobs, manifest

        settings, shown, earlier = self.settings, self.shown, self.earlier
        if earlier:
            earlier.check(self.given)
            if earlier.versions != manifest.versions():
                shown.say(f"{earlier.path}: of other versions: the picture may differ a little.")
        self.planned = batch.plan(settings)
        shown.plan(self.planned)
        several = self.planned.several
        single = None if several else jobs.prepare(self.planned.single_settings())
        nst_utils = _load_tensorflow(shown, verbose)
        say = None if shown.quiet else shown.say
        if earlier and "model_path" not in self.given:
            known = earlier.weights, earlier.path
            file = nst_utils.weights.find_again(settings.model_path, *known, say)
        else:
            file = nst_utils.weights.find(settings.model_path, say)
        self.studio = nst_utils.Studio(file)
        self._run_job = nst_utils.run_job
        if several:
            for line in self.studio.describe(settings):
                shown.say(line)
        if settings.dry_run:
            return self._foretell(single)
        try:
            self._carry_out(single)
        except BaseException:
            with contextlib.suppress(OSError, NSTError):  # the first error is the one to tell
                self._write_gallery()
            raise
        page = self._write_gallery()
        shown.summary(self.planned, self.outcomes, page)
        return batch.exit_code(self.planned, any(outcome.error for outcome in self.outcomes))

    def _foretell(self, single: "Job | None") -> ExitCode:
        """Tell what would be made, and make nothing."""
        from nst import batch

        if self.settings.cluster:
            self.shown.say("          foretold for this machine, not for the cluster")
        if single:
            folder = self._run_job(single, self.shown.say, studio=self.studio)
            if folder.finished:
                self.shown.end(batch.made(self.planned.tasks[0], folder))
        foreseen = batch.foresee(self.planned, self.studio)
        self.shown.foretell(self.planned, foreseen)
        return batch.exit_code(self.planned, bool(foreseen.refusals))

    def _carry_out(self, single: "Job | None") -> None:
        """Make every picture, here or on a cluster."""
        from nst import batch

        if self.settings.cluster:
            from nst import cluster, driver, runs  # late, as they take long

            with cluster.Cluster(self.settings.cluster, self.shown.say) as connected:
                if single and runs.foresee(single, self.studio).is_tiled:
                    self.studio = connected.tile_studio(self.studio)
                    self._make(self.planned.tasks[0], single)
                else:
                    self.stopping.gently = self._begun = True
                    who = self.planned, self.studio.network, self.shown, self._done
                    far = driver.Driver(connected, *who, self._kept)
                    far.carry_out(lambda: self.stopping.requested is not None)
                    self.stopping.gently = False
        elif single:
            self._make(self.planned.tasks[0], single)
        else:
            for task, job in batch.pending(self.planned, self.studio.file, self._done):
                self.stopping.check()
                self._make(task, job)

    def _make(self, task: "Task", job: "Job") -> None:
        """Make a picture on this machine."""
        from nst import batch

        def on_step(step: "Step") -> None:
            self.shown.step(task, step)
            if step.iteration < step.epochs:
                self.stopping.check()

        def on_start(folder: "RunFolder") -> None:
            self.stopping.gently = self._begun = True
            self.shown.start(task, folder)

        def carry_out() -> "RunFolder":
            several = self.planned.several
            try:
                told = self.shown.say, on_step, on_start
                return self._run_job(job, *told, self.studio, several, self._kept)
            finally:
                self.stopping.gently = False

        batch.attempt(task, carry_out, self.planned, self._done)

    def _done(self, outcome: "Outcome") -> None:
        self.outcomes.append(outcome)
        self.shown.end(outcome)
        if self.planned.several and time.monotonic() - self._written > GALLERY_SECONDS:
            self._write_gallery()

    def _write_gallery(self) -> Path | None:
        """Bring the gallery up to date, where something was made or it lacks a run."""
        from nst import gallery

        self._written = time.monotonic()
        output_dir = Path(self.settings.output_dir)
        lacks = any(gallery.lacks(outcome.folder) for outcome in self.outcomes if outcome.folder)
        if self._begun or self.planned.several or lacks:
            return gallery.write(output_dir)
        return None


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
