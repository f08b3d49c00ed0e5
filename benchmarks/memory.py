"""Peak memory of whole runs against the size of the picture, each in a fresh process.

For each size, the tiling that is chosen for a budget is compared with the whole picture at once
(the baseline) where that fits this machine, and with the forecast.

    python benchmarks/memory.py [--megapixels 0.5 2 12] [--max_memory 1G 4G] [--json FILE]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
ASPECT = 4 / 3


def run(folder: Path, megapixels: float, budget: str, epochs: int) -> dict:
    """Repaint a photo of that size in a process of its own; return what its manifest says."""
    width = round((megapixels * 1e6 * ASPECT) ** 0.5)
    photo = folder / f"photo_{width}.png"
    if not photo.exists():
        with Image.open(ROOT / "images/temple.jpg") as image:
            image.resize((width, round(width / ASPECT))).save(photo, compress_level=1)
    output = folder / f"{width}_{budget}"
    command = [sys.executable, ROOT / "nst_main.py", "--content_image_filename", photo]
    command += ["--image_size", "original", "--epochs", str(epochs), "--print_every", str(epochs)]
    command += ["--max_memory", budget, "--output_dir", output]
    began = time.monotonic()
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | {"NST_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return {"error": done.stderr.splitlines()[-1]}
    manifest = json.loads(next(output.glob("*/run.json")).read_text())
    return {
        "size": [manifest["size"]["width"], manifest["size"]["height"]],
        "precision": manifest["precision"],
        "tiles": manifest["scales"][-1]["tiles"],
        "peak_bytes": manifest["peak_memory_bytes"],
        "forecast_bytes": manifest["foretold_memory_bytes"],
        "seconds_per_epoch": manifest["seconds"] / (epochs + 1),
        "seconds_of_process": time.monotonic() - began,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.12, 0.5, 2, 12])
    parser.add_argument("--max_memory", nargs="+", default=["1.5G", "4G"], help="budgets")
    parser.add_argument("--whole_memory", default="16G", help="budget of the baseline")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    print(f"machine  {platform.machine()}, {os.cpu_count()} processors; epochs {options.epochs}")
    print(f"{'megapixels':>10} {'budget':>7} {'tiles':>9} {'peak':>8} {'forecast':>9} ", end="")
    print(f"{'s/epoch':>8} {'of whole':>9}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in options.megapixels:
            whole = None
            for budget in (options.whole_memory, *options.max_memory):
                row = run(Path(folder), megapixels, budget, options.epochs)
                row |= {"megapixels": megapixels, "budget": budget}
                rows.append(row)
                print(f"{megapixels:10.2f} {budget:>7}", end=" ")
                if "error" in row:
                    print(row["error"])
                    continue
                whole = whole or row["peak_bytes"]
                tiles = "+".join(map(str, row["tiles"]))
                peak, forecast = row["peak_bytes"] / 1e9, row["forecast_bytes"] / 1e9
                print(f"{tiles:>9} {peak:7.2f}G {forecast:8.2f}G ", end="")
                print(
                    f"{row['seconds_per_epoch']:8.2f} {row['peak_bytes'] / whole:9.2f}", flush=True
                )
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
