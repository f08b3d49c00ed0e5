"""Repaint one picture in the style of another: the command line.

Options, progress and exit codes; the algorithm is in ``nst_utils``.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import fields

from nst import __version__
from nst.errors import ExitCode, NSTError, UsageError
from nst.parsers import Choice, switch
from nst.settings import GROUPS, OUTPUT, Settings
from nst.silence import silent_stderr

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

exit codes:
  0 done, 2 wrong usage, 3 an input picture cannot be used, 4 VGG weights missing, damaged or not
  understood, 5 output cannot be written, 6 not enough memory, 7 the optimisation diverged,
  70 a bug in this program, 130 interrupted, 143 terminated
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    _repair_streams()
    parser = build_parser()
    options = vars(parser.parse_args(arguments))
    quiet, verbose = options.pop("quiet"), options.pop("verbose")
    try:
        settings = Settings(**options)
    except UsageError as error:
        parser.error(str(error))
    arrived: list[int] = []

    def stop(number: int, frame: object) -> None:
        arrived.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a script's background job
            signal.signal(number, stop)
    try:
        run(settings, quiet, verbose)
        return ExitCode.DONE
    except NSTError as error:
        return _fail(str(error), error.exit_code)
    except MemoryError:
        return _fail("not enough memory; use a smaller --image_size", ExitCode.MEMORY)
    except ModuleNotFoundError as error:
        return _fail(
            f"package {error.name} is missing: pip install -r requirements.txt", ExitCode.USAGE
        )
    except BaseException:
        # Code in C that a signal falls into may raise anything in place of KeyboardInterrupt.
        if signal.SIGTERM in arrived:
            return _fail("terminated", ExitCode.TERMINATED)
        if arrived:
            return _fail("interrupted", ExitCode.INTERRUPTED)
        traceback.print_exc()
        return _fail("this is a bug in this program; please report the lines above", ExitCode.BUG)


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
    if not quiet and sys.stderr.isatty():
        _say("Loading TensorFlow ...")
    with contextlib.nullcontext() if verbose else silent_stderr():
        import nst_utils
    if not verbose:
        logging.getLogger("tensorflow").setLevel(logging.ERROR)

    from tqdm import tqdm

    nst_utils.make_deterministic()
    columns = ["J", "J_content", "J_style", *(["J_tv"] if settings.tv_weight else [])]
    with contextlib.ExitStack() as stack:
        bar: tqdm | None = None

        def on_step(step: nst_utils.Step) -> None:
            nonlocal bar
            if quiet:
                return
            several = step.scales > 1
            if bar is None:
                options = {"total": step.epochs, "disable": None, "leave": False}
                bar = stack.enter_context(tqdm(**options, dynamic_ncols=True))
                heads = [f"{'scale':>5}"] * several + [f"{name:>10}" for name in columns]
                _print("  ".join(["iteration", *heads]))
            costs = step.costs
            parts = f"content {costs.content:.2e}, style {costs.style:.2e}"
            of = f"scale {step.scale}/{step.scales}, " if several else ""
            bar.set_postfix_str(f"{of}J {costs.total:.2e}, {parts}", refresh=False)
            bar.update(step.iteration - bar.n)
            if step.iteration % settings.print_every == 0 or step.iteration == step.epochs:
                scale = [f"{step.scale:5}"] * several
                cells = [f"{cost:10.4e}" for cost, _ in zip(costs, columns)]
                _print("  ".join([f"{step.iteration:9}", *scale, *cells]))

        folder = nst_utils.run_job(job, None if quiet else _say, on_step)
    if not quiet and (folder.finished or not settings.dry_run):
        again = " (finished earlier; --overwrite starts again)" if folder.finished else ""
        _print(_printable(f"Picture   {folder.picture}{again}"))


def _checked(parse: Callable) -> Callable:
    """Let argparse print the text of a ValueError after the name of the flag."""

    def typed(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


def _print(line: str) -> None:
    """Print a result to stdout, above the progress bar."""
    from tqdm import tqdm

    try:
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()
    except OSError as error:  # the reader (head, less) is gone, or the disk of a log is full;
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the picture is wanted
        if not isinstance(error, BrokenPipeError):
            _say(f"standard output cannot be written ({error.strerror}); going on without it")


def _say(line: str) -> None:
    """Print a remark to stderr, above the progress bar."""
    from tqdm import tqdm

    with contextlib.suppress(OSError):  # nobody reads it; the picture is wanted
        tqdm.write(_printable(line), file=sys.stderr)


def _fail(message: str, code: ExitCode) -> ExitCode:
    """Print an error on one line, whatever the file names in it hold."""
    with contextlib.suppress(OSError):
        print(f"nst_main.py: error: {_printable(message)}", file=sys.stderr, flush=True)
    return code


def _printable(text: str) -> str:
    """Show line ends and control characters of file names as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _repair_streams() -> None:
    """Make stdout and stderr writable whatever they are: closed, or unable to show a name."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for the whole process)
        getattr(sys, name).reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
