"""The options of the command line, made from ``Settings``."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NoReturn

from nst import __version__
from nst.errors import ExitCode
from nst.options import GROUPS, LIVE_PORT, OUTPUT, PICTURES
from nst.parsers import Choice, Number, file_name, path_text, switch
from nst.settings import Settings
from nst.text import red

# Options that are not of the picture:
COMMAND_OPTIONS = ("from_run", "live", "live_host", "quiet", "verbose", "log_json")

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


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print an error and end the program."""
        if message.endswith(("expected one argument", "expected at least one argument")):
            flag = message.removeprefix("argument ").partition(":")[0]
            message += f"; write a value that begins with a dash behind =: {flag}=-value"
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
        options: dict[str, Any] = {
            key: spec.metadata[key] for key in ("metavar", "nargs") if key in spec.metadata
        }
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
        # Options that are not given are left out: ``Settings`` knows the preset's default.
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
        f"machine alone; its address is printed (port: {LIVE_PORT}, or any that is free), and how "
        "to see it from another machine",
    )
    groups[OUTPUT].add_argument(
        "--live_host",
        metavar="ADDRESS",
        type=_checked(path_text),
        help="let --live listen on another address, such as 0.0.0.0 in a container: then everyone "
        "who can reach it and has the address that is printed, which holds a secret, sees the page",
    )
    shown = groups[OUTPUT].add_mutually_exclusive_group()
    for flag, text in (
        ("quiet", "print nothing but errors"),
        ("verbose", "print the messages of TensorFlow, too"),
        ("log_json", "print one JSON object for each event (see nst/cli/events.schema.json)"),
    ):
        shown.add_argument(f"--{flag}", action="store_true", help=text)
    return parser


def _checked(parse: Callable) -> Callable:
    """Let argparse print the text of a ValueError after the name of the flag."""

    def typed(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed
