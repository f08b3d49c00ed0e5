"""Names of masks -> files: a file, or a folder with a mask for each picture."""

from collections.abc import Sequence
from pathlib import Path

from nst.errors import PictureError
from nst.pictures.find import FoundPictures, collect_pictures, find_picture


class MaskFinder:
    """Finds masks, and looks through each folder once.

    A mask in a folder belongs to the picture of the same stem: ``dog.png`` to ``dog.jpg``. Of
    several with one stem that one is taken which lies in the folder as the picture lies in its own:
    ``masks/2024/dog.png`` for ``photos/2024/dog.jpg``.
    """

    def __init__(self, output_dir: Path) -> None:
        """output_dir: where run folders are, whose pictures are no masks."""
        self._output_dir = output_dir
        self._folders: dict[str, FoundPictures] = {}

    def find(
        self, setting: str, names: Sequence[str], pictures: Sequence[Path | None]
    ) -> list[Path]:
        """Return the files that ``names`` stand for; raises PictureError.

        pictures: the picture that each mask belongs to, or one for each of several masks. A single
        folder stands for a mask for each of these.
        """
        if len(names) == 1 and Path(names[0]).is_dir():
            names = tuple(names) * len(pictures)
        if len(names) != len(pictures):  # one label picture for all
            pictures = (pictures[0],) * len(names)
        return [self._find(setting, name, picture) for name, picture in zip(names, pictures)]

    def _find(self, setting: str, name: str, picture: Path | None) -> Path:
        if not Path(name).is_dir():
            return find_picture(name, setting)
        if picture is None:
            raise PictureError(
                f"{name}: is a folder, and a texture has no content picture; give --{setting} a "
                "picture file"
            )
        if name not in self._folders:
            self._folders[name] = collect_pictures((name,), setting, self._output_dir)
        folder = self._folders[name]
        found = [path for path, _ in folder.pictures if path.stem == picture.stem]
        if len(found) > 1:
            found = [path for path in found if _lies_alike(path, Path(name), picture)] or found
        unreadable = [path for path in folder.left_out if path.stem == picture.stem]
        if not found and unreadable:
            raise PictureError(f"{unreadable[0]}: {folder.left_out[unreadable[0]]}")
        if not found:
            raise PictureError(
                f"{name}: has no mask for {picture}, such as {picture.stem}.png; add it, or give "
                f"--{setting} a file"
            )
        if len(found) > 1:
            raise PictureError(
                f"{name}: has several masks for {picture}: {', '.join(map(str, found[:3]))}; "
                f"leave one of them in the folder of --{setting}"
            )
        return found[0]


def _lies_alike(mask: Path, folder: Path, picture: Path) -> bool:
    """Whether a mask lies in its folder as a picture lies in its own, but for the ending."""
    parts = mask.relative_to(folder).with_suffix("").parts
    return picture.with_suffix("").parts[-len(parts) :] == parts
