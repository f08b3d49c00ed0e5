"""A contact sheet: what the presets make of several pairs at one size, with their seconds.

python benchmarks/gallery.py [--image_size 400] [--pairs C S [C S ...]] [--output gallery.png]
"""

import argparse
from pathlib import Path

from common import enlarged, last, pairs, save_sheet

import nst_utils
from nst.engine.determinism import make_deterministic
from nst.presets import PRESETS
from nst.settings import Settings
from nst.vgg import weights


def main() -> None:
    """Make the pictures and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=400, help="long side in pixels")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS)
    parser.add_argument("--pairs", nargs="+", default=[], help="content and style files, in turn")
    parser.add_argument("--output", default="gallery.png", help="the sheet")
    options = parser.parse_args()
    make_deterministic()
    network = weights.load(weights.find(None, "vgg19", print))
    rows = []
    for pair in pairs(options.pairs):
        content, style = (enlarged(name, options.image_size) for name in pair)
        row = [(Path(name).stem, rgb) for name, rgb in zip(pair, (content, style))]
        for name in options.presets:
            settings = Settings(preset=name)
            step = last(nst_utils.transfer_style(content, style, network, settings))
            row.append((f"{name}, {step.seconds:.0f} s", step.picture))
            print(f"{' + '.join(text for text, _ in row[:2])}: {row[-1][0]}", flush=True)
        rows.append(row)
    save_sheet(rows, Path(options.output), height=min(options.image_size, rows[0][0][1].shape[0]))
    print(options.output)


if __name__ == "__main__":
    main()
