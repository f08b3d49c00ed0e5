"""Run nst_main.py as a user does, for the benchmarks that judge what comes out."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from common import ROOT


def paint(
    content: Path, style: Path, options: Sequence[str], output_dir: Path, keep: bool = False
) -> tuple[Path, float]:
    """Make one picture; return its file, and the seconds of the run without start-up.

    A run folder does not know the code that made it, so a finished picture is made again, unless
    ``keep``. Raises RuntimeError with what the program said if it fails.
    """
    command = [sys.executable, str(ROOT / "nst_main.py"), "--log_json"]
    command += ["--content_image_filename", str(content), "--style_image_filename", str(style)]
    command += ["--output_dir", str(output_dir), *options, *([] if keep else ["--overwrite"])]
    environment = {**os.environ, "NST_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ends = [event for event in events if event["event"] == "end"]
    if done.returncode or not ends:
        raise RuntimeError(f"{' '.join(command)}\n{(done.stdout + done.stderr)[-2000:]}")
    facts = json.loads((Path(ends[-1]["folder"]) / "run.json").read_text())
    return Path(ends[-1]["picture"]), float(facts["seconds"])
