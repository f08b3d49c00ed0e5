"""The refusal of a picture whose reader is not installed."""

from pathlib import Path

from nst.errors import PictureError

REQUIRED = "requirements.txt"
OPTIONAL = "images/requirements-formats.txt"  # installs what is read only if it is there


def missing_package(path: Path, kind: str, requirements: str, other: str) -> PictureError:
    """The error to raise.

    kind: of the picture, with its article. requirements: the file that installs the reader. other:
    the formats to save the picture in instead.
    """
    return PictureError(
        f"{path}: is {kind}, which is read with `pip install -r {requirements}`; or save it as "
        f"{other}"
    )
