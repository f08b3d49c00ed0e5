"""Runs of earlier versions: values of settings that their files lack."""

from typing import Any

from nst.vgg.layers import NETWORKS

# Setting -> value that every picture was made with before the setting existed.
SETTINGS = {
    "padding": "zeros",
    "style_loss": "gram",
    "mask_colors": None,
    "transparent": "keep",
}


def completed(recorded: Any) -> Any:
    """The settings, or the identity, of a run, completed by SETTINGS.

    What is not a dict, as None of a run without a record, is returned unchanged.
    """
    return {**SETTINGS, **recorded} if isinstance(recorded, dict) else recorded


def completed_settings(manifest: dict[str, Any]) -> dict[str, Any]:
    """The settings in a manifest, completed by SETTINGS and by the network of the run."""
    settings = completed(manifest["settings"])
    if "network" in settings:
        return settings
    words = {name: word for word, name in NETWORKS.items()}
    return {**settings, "network": words[manifest.get("network", {}).get("name", "VGG-16")]}
