"""Runs of other versions: values of settings that their files lack, and settings not known here."""

import functools
import json
from dataclasses import asdict, fields
from typing import Any

from nst.settings import Settings
from nst.vgg.layers import NETWORKS

# Setting -> value that every picture was made with before the setting existed, where that is not
# its default of today. The network stands in the manifest by its own name.
SETTINGS = {"padding": "zeros", "style_loss": "gram"}


@functools.cache
def _of_then() -> dict[str, Any]:
    """The value of every setting before it existed, as JSON gives it back."""
    return {**json.loads(json.dumps(asdict(Settings()))), **SETTINGS}


def completed_identity(recorded: Any) -> Any:
    """The identity of a run as this version writes it: without what it lacks or has too much.

    A setting that is not known here, of a newer version, stays: it may decide the picture. What is
    not a dict, as None of a run without a record, is returned unchanged.
    """
    if not isinstance(recorded, dict):
        return recorded
    then, counting = _of_then(), _counting()
    completed = {name: value for name, value in then.items() if name in counting}
    completed |= {n: v for n, v in recorded.items() if n in counting or n not in then}
    return completed


@functools.cache
def _counting() -> frozenset[str]:
    """The settings that decide a picture."""
    return frozenset(Settings().identity())


def completed_settings(manifest: dict[str, Any]) -> dict[str, Any]:
    """The settings in a manifest, completed by those of then and by the network of the run."""
    words = {name: word for word, name in NETWORKS.items()}
    network = words[manifest.get("network", {}).get("name", "VGG-16")]
    return {**_of_then(), "network": network, **manifest["settings"]}


def unknown_settings(manifest: dict[str, Any]) -> list[str]:
    """The settings in a manifest, of a newer version, that are not known here."""
    return sorted(set(manifest["settings"]) - {spec.name for spec in fields(Settings)})
