"""Runs of earlier versions: what their files do not say, as there was no setting for it."""

from typing import Any

from nst.vgg.layers import NETWORKS

# Setting -> what every picture was made with before there was the setting.
SETTINGS = {"padding": "zeros", "style_loss": "gram"}


def completed(recorded: Any) -> Any:
    """The settings or the identity of a run with what they lack; None and the like as they are."""
    return {**SETTINGS, **recorded} if isinstance(recorded, dict) else recorded


def completed_settings(manifest: dict[str, Any]) -> dict[str, Any]:
    """The settings in a manifest, likewise, and with its network."""
    settings = completed(manifest["settings"])
    if "network" in settings:
        return settings
    words = {name: word for word, name in NETWORKS.items()}
    return {**settings, "network": words[manifest.get("network", {}).get("name", "VGG-16")]}
