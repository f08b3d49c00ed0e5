"""Metadata of a photo - date, camera, GPS position, captions - for the result (--keep_metadata).

EXIF (Pillow's dictionaries of tags), IPTC IIM and XMP. What describes the file rather than the
photo - sizes, orientation, thumbnails, colour space, notes of the maker with their offsets - is
left out or set anew.
"""

import contextlib
import io
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from nst.pictures.formats import FORMATS, open_picture
from nst.silence import silent_stderr, silent_warnings

EXIF_IFD, GPS_IFD = 0x8769, 0x8825  # tags that lead to other directories
XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG = 700, 33723, 34377  # of TIFF
IPTC_RESOURCE = 0x0404  # of Photoshop's resources
ORIENTATION = 0x0112
# Of the main directory: ImageDescription, Make, Model, DateTime, Artist, HostComputer, Rating,
# RatingPercent, Copyright, and Windows' title, comment, author, keywords and subject.
DESCRIPTIVE = {0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298}
WINDOWS = set(range(0x9C9B, 0x9CA0))
DESCRIPTIVE |= WINDOWS
# Of the EXIF directory: MakerNote, UserComment (of this program), ColorSpace, PixelXDimension,
# PixelYDimension, the interoperability directory, Gamma.
OF_THE_FILE = {0x927C, 0x9286, 0xA001, 0xA002, 0xA003, 0xA005, 0xA500}
SRGB_SPACE, WIDTH, HEIGHT = 0xA001, 0xA002, 0xA003
MOST = 60_000  # bytes of XMP and of IPTC each; a segment of a JPEG holds 65,533

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
TIFF_NAMES, EXIF_NAMES = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
# Namespaces of XMP that describe the file: settings of raw converters, gain maps, motion photos,
# depth maps, parts that stand elsewhere.
FILE_NAMES = re.compile(
    "http://ns.adobe.com/(camera-raw-settings|hdr-gain-map|xmp/note)|http://ns.google.com/photos/"
    "|http://ns.apple.com/(HDRGainMap|adjustment-settings|pixeldatainfo)"
)
FILE_PROPERTIES = {  # without namespaces
    *("Thumbnails", "ColorSpace", "PixelXDimension", "PixelYDimension", "ImageWidth"),
    *("ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation", "Orientation"),
    *("ICCProfile", "NativeDigest", "YCbCrSubSampling", "YCbCrPositioning", "SamplesPerPixel"),
}
HEAD = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
TAIL = b'<?xpacket end="w"?>'

Tags = dict[int, Any]


@dataclass(frozen=True)
class Metadata:
    """What is kept of a photo.

    tags, exif, gps: of the EXIF directories, {tag: value}. xmp: a packet; iptc: IIM records; empty
    where there are none. notes: for the user.
    """

    tags: Tags = field(default_factory=dict)
    exif: Tags = field(default_factory=dict)
    gps: Tags = field(default_factory=dict)
    xmp: bytes = b""
    iptc: bytes = b""
    notes: tuple[str, ...] = ()


def _open(path: Path, file: BinaryIO) -> Image.Image:
    """A picture with its metadata: by Pillow, whoever decodes its pixels, or else by its reader."""
    with contextlib.suppress(UnidentifiedImageError):
        return Image.open(file, formats=FORMATS)
    file.seek(0)
    return open_picture(path, file, whole=False)


def read_metadata(path: Path) -> Metadata:
    """The metadata of a picture file that describe the photo; what is damaged is left out."""
    tags, exif, gps, xmp, iptc = {}, {}, {}, b"", b""
    notes: list[str] = []
    # Damaged metadata raise almost anything.
    try:
        with silent_warnings, silent_stderr(), open(path, "rb") as file:
            image = _open(path, file)
            found = image.getexif()
            tags = _kept(found, lambda tag: tag in DESCRIPTIVE)
            exif = _kept(found.get_ifd(EXIF_IFD), lambda tag: tag not in OF_THE_FILE)
            gps = _kept(found.get_ifd(GPS_IFD), lambda tag: True)
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
            xmp = _bytes(packet or found.get(XMP_TAG))
            resources = image.info.get("photoshop") or {}
            iptc = _bytes(resources.get(IPTC_RESOURCE) or found.get(IPTC_TAG))
    except Exception as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        notes.append(f"its metadata cannot all be read ({reason})")
    xmp = _cleaned_xmp(xmp, notes)
    if len(iptc) > MOST:
        iptc = b""
        notes.append("its IPTC data are too large, and are left out")
    parts = {
        "EXIF": bool(tags or exif or gps),
        "the GPS position": bool(gps),
        "XMP": bool(xmp),
        "IPTC": bool(iptc),
    }
    kept = ", ".join(name for name, there in parts.items() if there)
    notes.append(f"kept in the result: {kept}" if kept else "it has no metadata to keep")
    return Metadata(tags, exif, gps, xmp, iptc, tuple(notes))


def _kept(tags: Any, wanted: Any) -> Tags:
    """The wanted tags of a directory that can be written again; none of those that lead on."""
    kept = {}
    for tag, value in dict(tags).items():
        if not wanted(tag) or isinstance(value, dict):
            continue
        try:
            _directory({tag: value}).tobytes(8)
        except Exception:  # a value that does not fit its tag
            continue
        if isinstance(value, str) and not value.isascii() and tag in DESCRIPTIVE:
            value = value.encode("latin-1", "replace")  # its bytes, of whatever encoding they are
        kept[tag] = value
    return kept


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="replace")
    return value if isinstance(value, bytes) else b""


def _cleaned_xmp(packet: bytes, notes: list[str]) -> bytes:
    """A packet without the properties of the file; empty, with a note, if it cannot be kept."""
    if not packet.strip(b"\0 \n"):
        return b""
    try:
        if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
            raise ValueError("it has definitions")
        start, end = packet.index(b"<"), packet.rindex(b">") + 1
        source = io.BytesIO(packet[start:end])
        for _, (prefix, name) in ElementTree.iterparse(source, ["start-ns"]):
            if prefix and not re.fullmatch(r"ns\d+", prefix):
                ElementTree.register_namespace(prefix, name)
        root = ElementTree.fromstring(packet[start:end])
        for description in root.iter(f"{{{RDF}}}Description"):
            for name in [name for name in description.attrib if _is_of_file(name)]:
                del description.attrib[name]
            for child in [child for child in description if _is_of_file(child.tag)]:
                description.remove(child)
        cleaned = HEAD + ElementTree.tostring(root) + TAIL
        if len(cleaned) > MOST:
            raise ValueError(f"it has more than {MOST:,} bytes")
    except (ElementTree.ParseError, ValueError) as error:
        notes.append(f"its XMP data are left out ({error})")
        return b""
    return cleaned


def _is_of_file(name: str) -> bool:
    space, _, word = name.rpartition("}")
    space = space.removeprefix("{")
    own = space.startswith(("http://ns.adobe.com/", "http://purl.org/dc/"))
    return bool(FILE_NAMES.match(space)) or (own and word in FILE_PROPERTIES)


def _directory(tags: Tags) -> TiffImagePlugin.ImageFileDirectory_v2:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
    return directory


def exif_tags(metadata: Metadata, size: tuple[int, int]) -> tuple[Tags, Tags]:
    """The tags of the main and of the EXIF directory, for a result of ``size``, (height, width)."""
    height, width = size
    exif = {**metadata.exif, SRGB_SPACE: 1, WIDTH: width, HEIGHT: height}
    return {**metadata.tags, ORIENTATION: 1}, exif


def jpeg_iptc(iptc: bytes) -> bytes:
    """The segment of a JPEG file that holds IPTC records, empty for none."""
    if not iptc:
        return b""
    resource = b"8BIM" + struct.pack(">HHI", IPTC_RESOURCE, 0, len(iptc)) + iptc
    segment = b"Photoshop 3.0\0" + resource + b"\0" * (len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment


def png_iptc(iptc: bytes) -> str:
    """The text of a PNG file that holds IPTC records, in the way of ImageMagick."""
    resource = b"8BIM" + struct.pack(">HHI", IPTC_RESOURCE, 0, len(iptc)) + iptc
    lines = re.findall(".{1,72}", resource.hex())
    return "\n".join(["", "iptc", f"{len(resource):8}", *lines, ""])


def with_directories(file: bytes, metadata: Metadata, size: tuple[int, int]) -> bytes:
    """A little-endian TIFF file with an EXIF directory, and a GPS directory, behind its end.

    Its main directory is written anew behind them, with the tags that lead there: tifffile does not
    write these. A file beyond 4 GB, in the other form of TIFF, stays as it is.
    """
    if file[:4] != b"II*\0":
        return file
    (start,) = struct.unpack_from("<I", file, 4)
    (count,) = struct.unpack_from("<H", file, start)
    entries = [file[start + 2 + 12 * n : start + 14 + 12 * n] for n in range(count)]
    more, end = bytearray(), len(file) + len(file) % 2
    for tag, tags in ((EXIF_IFD, exif_tags(metadata, size)[1]), (GPS_IFD, metadata.gps)):
        if tags:
            offset = end + len(more)
            entries.append(struct.pack("<HHII", tag, 4, 1, offset))
            more += _directory(tags).tobytes(offset)
            more += b"\0" * (len(more) % 2)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    main = struct.pack("<H", len(entries)) + b"".join(entries) + b"\0" * 4
    head = file[:4] + struct.pack("<I", end + len(more)) + file[8:]
    return head + b"\0" * (len(file) % 2) + bytes(more) + main


def tiff_tags(metadata: Metadata) -> list[tuple]:
    """Tags of the main directory, as tifffile takes them."""
    tags: list[tuple] = [(ORIENTATION, 3, 1, 1, True)]
    if metadata.xmp:
        tags.append((XMP_TAG, 1, len(metadata.xmp), metadata.xmp, True))
    if metadata.iptc:
        tags.append((IPTC_TAG, 7, len(metadata.iptc), metadata.iptc, True))
    for tag, value in metadata.tags.items():
        if tag == 0x010E:  # the description is this program's
            continue
        if isinstance(value, str | bytes):
            data = value if isinstance(value, bytes) else value.encode("ascii")
            data += b"" if tag in WINDOWS else b"\0"
            tags.append((tag, 1 if tag in WINDOWS else 2, len(data), data, True))
        elif isinstance(value, int) and 0 <= value < 1 << 32:  # a damaged one may be long
            tags.append((tag, 3 if value < 1 << 16 else 4, 1, value, True))
    return tags
