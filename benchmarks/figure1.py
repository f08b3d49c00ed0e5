"""Figure 1 of Gatys et al. 2015: what each layer knows of content and of style, from white noise.

The upper row reconstructs the style (alpha 0) from the five growing sets of layers, the lower row
the content (beta 0) from one layer each: low layers give nearly every pixel back, high ones keep
the layout and lose pixels.

    python benchmarks/figure1.py [--image_size 224] [--epochs 300] [--output figure1.png]
"""

import argparse
from pathlib import Path

from common import enlarged, last, save_sheet

import nst_utils
from nst.engine.determinism import make_deterministic
from nst.settings import Settings
from nst.vgg import weights

CONTENT_LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


def main() -> None:
    """Make the pictures and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=224, help="long side in pixels")
    parser.add_argument("--epochs", type=int, default=300, help="iterations of L-BFGS each")
    parser.add_argument("--content", default="temple.jpg", help="content picture")
    parser.add_argument("--style", default="starlit_harbour.jpg", help="style picture")
    parser.add_argument("--layers", type=int, default=5, help="how many of each row")
    parser.add_argument("--output", default="figure1.png", help="the sheet")
    options = parser.parse_args()
    make_deterministic()
    network = weights.load(weights.find(None, "vgg19", print))
    content, style = (
        enlarged(name, options.image_size) for name in (options.content, options.style)
    )
    common = {"optimizer": "lbfgs", "init": "noise", "epochs": options.epochs}
    rows = [[("style", style)], [("content", content)]]
    for number, layer in enumerate(STYLE_LAYERS[: options.layers], 1):
        settings = Settings(alpha=0, style_layers=STYLE_LAYERS[:number], **common)
        name = layer if number == 1 else f"{STYLE_LAYERS[0]} .. {layer}"
        step = last(nst_utils.transfer_style(content, style, network, settings))
        rows[0].append((name, step.picture))
        print(f"style {name}: J {step.costs.total:.2e} in {step.seconds:.0f} s", flush=True)
    for layer in CONTENT_LAYERS[: options.layers]:
        settings = Settings(beta=0, content_layers=layer, **common)
        step = last(nst_utils.transfer_style(content, [], network, settings))
        rows[1].append((layer, step.picture))
        print(f"content {layer}: J {step.costs.total:.2e} in {step.seconds:.0f} s", flush=True)
    save_sheet(rows, Path(options.output))
    print(options.output)


if __name__ == "__main__":
    main()
