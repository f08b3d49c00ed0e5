"""The order of the layers: a file imports from its own layer or from lower ones, in no circle.

Every import counts: late ones in functions, and those for type hints alone.
"""

import ast
import graphlib

import pytest

from helpers import ROOT

LAYERS = [  # lowest first; docs/development.md and nst/__init__.py draw the same order
    {"nst", "nst.errors", "nst.text", "nst.files", "nst.silence", "nst.lean_import"}
    | {"nst.control_groups"},
    {"nst.limits"},
    {"nst.vgg"},
    {"nst.parsers", "nst.presets", "nst.settings", "nst.command_line", "nst.layout"}
    | {"nst.output_names", "nst.options", "nst.style_losses"},
    {"nst.pictures"},
    {"nst.engine"},
    {"nst_utils"},
    {"nst.pages"},
    {"nst.runs"},
    {"nst.api"},
    {"nst.cluster"},
    {"nst.cli"},
    {"nst_main"},
]
# Layers that do not know each other, although one of them has to stand below.
STRANGERS = [{"nst_utils", "nst.pages"}, {"nst.api", "nst.cluster"}, {"nst.cluster", "nst.cli"}]
STRANGERS += [{"nst.api", "nst.cli"}]
# ``from nst_utils import NeuralStyleTransfer`` is what users write; the class stands on the method.
ALLOWED_UPWARDS = {("nst_utils", "nst.api")}


def modules():
    """{name: path} of every module of the product."""
    paths = [*ROOT.glob("nst_*.py"), *ROOT.glob("nst/**/*.py")]
    names = {}
    for path in paths:
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = path
    return names


MODULES = modules()


def room(module):
    """The folder of a module in nst/, or the module itself."""
    return next(
        name for layer in LAYERS for name in layer if name == ".".join(module.split(".")[:2])
    )


def imports(path):
    """The modules of the product that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            # What is imported from a package may be a module of it, or a name in its __init__.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in names]
        else:
            continue
        yield from (name for name in names if name in MODULES)


def height(module):
    return next(i for i, layer in enumerate(LAYERS) if room(module) in layer)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_lead_downwards(module):
    for imported in imports(MODULES[module]):
        if (module, imported) in ALLOWED_UPWARDS:
            continue
        assert height(imported) <= height(module), f"{module} imports {imported} from above"
        assert {room(module), room(imported)} not in STRANGERS, f"{module} imports {imported}"


def test_no_circle():
    graph = {
        module: {i for i in imports(path) if i != module and (module, i) not in ALLOWED_UPWARDS}
        for module, path in MODULES.items()
    }
    # Every module of a package imports the package itself, which imports none of them.
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_every_room_has_a_purpose_and_tests():
    for path in (ROOT / "nst").glob("*/"):
        if path.name.startswith("__"):
            continue
        assert ast.get_docstring(ast.parse((path / "__init__.py").read_text())), path
        assert list((ROOT / "tests" / path.name).glob("test_*.py")), path
