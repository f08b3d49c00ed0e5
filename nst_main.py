"""Repaint one picture in the style of another: the command line.

Options, progress and exit codes; the algorithm is in ``nst_utils``.
"""

import argparse
import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import fields

from nst import __version__
from nst.errors import ExitCode, NSTError, UsageError
from nst.settings import GROUPS, OUTPUT, Choice, Settings, switch

EXAMPLES = """\
examples:
  python nst_main.py
      the shipped photo in the shipped style
  python nst_main.py --content_image_filename photo.jpg --style_image_filename woodcut_wave.jpg
      your photo as a woodcut
  python nst_main.py --alpha 10 --beta 40 --epochs 500 --learning_rate 10 --image_size 800
      larger, and closer to the style

exit codes:
  0 done, 2 wrong usage, 3 an input picture cannot be used, 4 VGG weights missing, damaged or not
  understood, 5 output cannot be written, 6 not enough memory, 7 the optimisation diverged,
  70 a bug in this program, 130 interrupted, 143 terminated
"""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # file names need not be valid text
    parser = build_parser()
    options = vars(parser.parse_args(arguments))
    quiet, verbose = options.pop("quiet"), options.pop("verbose")
    try:
        settings = Settings(**options)
    except UsageError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        run(settings, quiet, verbose)
    except NSTError as error:
        return _fail(str(error), error.exit_code)
    except Terminated:
        return _fail("terminated", ExitCode.TERMINATED)
    except KeyboardInterrupt:
        return _fail("interrupted", ExitCode.INTERRUPTED)
    except Exception:
        traceback.print_exc()
        return _fail("this is a bug in this program; please report the lines above", ExitCode.BUG)
    return ExitCode.DONE


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
        groups[spec.metadata["group"]].add_argument(
            f"--{spec.name}", default=spec.default, help=text, **options
        )
    loudness = groups[OUTPUT].add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="print nothing but errors")
    loudness.add_argument(
        "--verbose", action="store_true", help="print what TensorFlow has to say, too"
    )
    return parser


def run(settings: Settings, quiet: bool, verbose: bool) -> None:
    """Make the picture, showing progress; raises NSTError."""
    from nst import jobs  # late, as everything heavy: --help and a wrong flag answer at once

    job = jobs.prepare(settings)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3")
    say = _ignore if quiet else _say
    if sys.stderr.isatty():
        say("Loading TensorFlow ...")
    with contextlib.nullcontext() if verbose else _silent_stderr():
        import nst_utils

    from tqdm import tqdm

    nst_utils.make_deterministic()
    bar = tqdm(total=settings.epochs, disable=quiet or None, leave=False, dynamic_ncols=True)
    with bar:

        def on_step(step: nst_utils.Step) -> None:
            bar.update(step.iteration - bar.n)
            costs = step.costs
            parts = f"content {costs.content:.2e}, style {costs.style:.2e}"
            bar.set_postfix_str(f"J {costs.total:.2e}, {parts}", refresh=False)
            if quiet:
                return
            if step.iteration == 0:
                _print(f"{'iteration':>9}  {'J':>10}  {'J_content':>10}  {'J_style':>10}")
            if step.iteration % settings.print_every == 0 or step.iteration == step.epochs:
                _print(
                    f"{step.iteration:9}  {costs.total:10.4e}  {costs.content:10.4e}  "
                    f"{costs.style:10.4e}"
                )

        folder = nst_utils.run_job(job, say, on_step)
    if not quiet and not settings.dry_run:
        again = " (finished earlier; --overwrite starts again)" if folder.finished else ""
        _print(f"Picture   {folder.picture}{again}")


def _checked(parse: Callable) -> Callable:
    """Let argparse print the text of a ValueError after the name of the flag."""

    def typed(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


@contextlib.contextmanager
def _silent_stderr() -> object:
    """Drop what is written to file descriptor 2: TensorFlow's C++ start-up messages."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as sink:
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _raise_terminated(signum: int, frame: object) -> None:
    raise Terminated


def _print(line: str) -> None:
    """Print a result to stdout, above the progress bar."""
    from tqdm import tqdm

    try:
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) is gone; the picture is still wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str) -> None:
    """Print a remark to stderr, above the progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def _ignore(line: str) -> None:
    pass


def _fail(message: str, code: ExitCode) -> ExitCode:
    """Print an error on one line, whatever the file names in it hold."""
    print("nst_main.py: error: " + "\\n".join(message.splitlines()), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
