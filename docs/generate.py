"""Write what follows from ``Settings``: README's option table, and the settings in run.schema.json.

python docs/generate.py            # write both
python docs/generate.py --check    # exit 1 if one of them is out of date
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nst import output_names, parsers  # noqa: E402
from nst.cli.parser import build_parser  # noqa: E402
from nst.options import GROUPS  # noqa: E402
from nst.parsers import Choice, LayerWeights, Number, Optional, OrWord, Several  # noqa: E402
from nst.settings import Settings  # noqa: E402

BEGIN, END = "<!-- options: written by docs/generate.py -->", "<!-- end of options -->"
PIXELS = {"type": "integer", "minimum": 1}
LAYER = {"prefixItems": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}]}
# Of the values that a parser returns, as JSON holds them:
FUNCTIONS: dict[Callable, dict[str, Any]] = {
    parsers.file_name: {"type": "string"},
    parsers.path_text: {"type": "string"},
    parsers.image_size: {
        "anyOf": [
            PIXELS,
            {"const": "original"},
            {"type": "array", "items": PIXELS, "minItems": 2, "maxItems": 2},
        ]
    },
    parsers.memory_size: PIXELS,
    output_names.output_name: {"type": "string"},
    parsers.device: {"type": "string", "pattern": f"^({parsers.DEVICE.pattern})$"},
    parsers.switch: {"type": "boolean"},
    parsers.mask_colors: {
        "type": "array",
        "items": {"type": "string", "pattern": "^(#[0-9a-f]{6}|[0-9]+)=[1-9][0-9]*$"},
        "minItems": 1,
    },
}


def value_schema(parse: Any) -> dict[str, Any]:
    """The JSON schema of the values that a parser returns."""
    if isinstance(parse, Number):
        low = "exclusiveMinimum" if parse.above_low else "minimum"
        kind = "integer" if parse.kind is int else "number"
        return {"type": kind, low: parse.low, "maximum": parse.high}
    if isinstance(parse, Choice):
        return {"enum": list(parse.words)}
    if isinstance(parse, OrWord):
        return {"anyOf": [value_schema(parse.parse), {"const": parse.word}]}
    if isinstance(parse, Optional):
        return {"anyOf": [value_schema(parse.parse), {"type": "null"}]}
    if isinstance(parse, Several):
        return {"type": "array", "items": value_schema(parse.parse), "minItems": 1}
    if isinstance(parse, LayerWeights):
        return {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", **LAYER, "minItems": 2, "maxItems": 2},
        }
    return FUNCTIONS[parse]


def run_schema(text: str) -> str:
    """run.schema.json with the settings of today."""
    schema = json.loads(text)
    settings = schema["properties"]["settings"]
    names = [spec.name for spec in fields(Settings)]
    settings["required"] = names
    settings["properties"] = {
        spec.name: {"description": spec.metadata["help"], **value_schema(spec.metadata["parse"])}
        for spec in fields(Settings)
    }
    schema["properties"]["changed_from_preset"]["propertyNames"] = {"enum": names}
    return json.dumps(schema, indent=2) + "\n"


def option_table() -> str:
    """README's table of the options, by group."""
    defaults = {spec.name: spec.default for spec in fields(Settings)}
    rows = ["| option | default | |", "| --- | --- | --- |"]
    for group in build_parser()._action_groups:
        if group.title not in GROUPS:
            continue
        rows.append(f"| **{group.title}** | | |")
        for action in group._group_actions:
            text = re.sub(r" \(default: .*\)$", "", action.help or "")
            text = re.sub(r"(--\w+)", r"`\1`", text.replace("|", "\\|"))
            rows.append(
                f"| `--{action.dest}` | {default_text(defaults.get(action.dest))} | {text} |"
            )
    return "\n".join(rows)


def default_text(value: Any) -> str:
    """A default as the command line takes it; empty for what is not given or off."""
    if value is None or value is False:
        return ""
    words = value if isinstance(value, tuple) else [value]
    return f"`{' '.join(map(str, words))}`"


def readme(text: str) -> str:
    """README.md with the options of today."""
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n\n{option_table()}\n\n{END}{rest.split(END)[1]}"


GENERATED = {ROOT / "README.md": readme, ROOT / "nst/runs/run.schema.json": run_schema}


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    outdated = False
    for path, generate in GENERATED.items():
        before = path.read_text()
        after = generate(before)
        if after != before:
            outdated = True
            state = "out of date: run docs/generate.py" if check else "written"
            print(f"{path.relative_to(ROOT)}: {state}")
            if not check:
                path.write_text(after)
    return int(check and outdated)


if __name__ == "__main__":
    sys.exit(main())
