"""Names of pictures in the output folder, from a pattern such as ``{content}_{style}.png``."""

import re
import string
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

SUFFIXES = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp", ".tif": "tif"}
SUFFIXES |= {".tiff": "tif"}
# Stems of the pictures, and settings of one short word or number.
FIELDS = (
    *("content", "style", "preset", "epochs", "seed", "image_size", "alpha", "beta", "tv_weight"),
    *("style_loss", "style_scale", "network", "optimizer", "learning_rate", "scales"),
    *("noise_ratio", "preserve_colors"),
)


def output_name(value: Any) -> str:
    """Return a pattern for names of files; raises ValueError."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"must be a name such as {{content}}_{{style}}.png, not {str(value)!r}")
    try:
        parts = list(string.Formatter().parse(value))
    except ValueError as error:
        raise ValueError(f"is no pattern ({error}): {value!r}") from None
    for text, field, spec, conversion in parts:
        if any(separator in text for separator in "/\\"):
            raise ValueError(f"must be a name in the output folder, without / and \\: {value!r}")
        if field is not None and (field not in FIELDS or spec or conversion):
            shown = "{" + field + (f"!{conversion}" if conversion else "")
            shown += (f":{spec}" if spec else "") + "}"
            raise ValueError(f"may have the fields {', '.join(FIELDS)}, not {shown}")
    suffix = PurePath(value).suffix.lower()
    if re.fullmatch(r"\.[a-z][a-z0-9]{1,4}", suffix) and suffix not in SUFFIXES:
        raise ValueError(f"may end in {', '.join(SUFFIXES)}, not {suffix}: {value!r}")
    if value.startswith("."):
        raise ValueError(f"must not begin with a dot, as hidden files do: {value!r}")
    return value


def name_format(pattern: str) -> str | None:
    """The kind of file that the suffix of a pattern stands for, None without one."""
    return SUFFIXES.get(PurePath(pattern).suffix.lower())


def fill_in(pattern: str, values: Mapping[str, Any], kind: str) -> str:
    """The name of a picture; ``kind`` gives the suffix if the pattern has none."""
    texts = {name: _text(value) for name, value in values.items()}
    filled = pattern.format_map(texts)
    return filled if name_format(pattern) else f"{filled}.{kind}"


def _text(value: Any) -> str:
    if isinstance(value, tuple):  # (width, height)
        return "x".join(map(str, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("/", "_").replace("\\", "_")
