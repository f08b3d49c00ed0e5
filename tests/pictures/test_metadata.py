"""Metadata of a photo in the result: what describes the photo, and nothing of its file."""

import io
import re

import numpy as np
import pytest
import tifffile
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, IptcImagePlugin

from helpers import QUICK
from nst.pictures.metadata import EXIF_IFD, GPS_IFD, Metadata, jpeg_iptc, read_metadata
from nst.pictures.read import read_picture
from nst.pictures.write import encode

IPTC = b"\x1c\x02\x78\x00\x05Hello" + b"\x1c\x02\x19\x00\x03key"
XMP = """<?xpacket begin="" id="x"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
 xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:mine="http://example.com/1.0/"
 tiff:Orientation="6" GCamera:MotionPhoto="1" hdrgm:Version="1.0" xmp:Rating="4" mine:Width="7">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Grüße</rdf:li></rdf:Alt></dc:title>
<xmp:Thumbnails><rdf:Alt><rdf:li>base64</rdf:li></rdf:Alt></xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()
TEXTS = {"Software": "NST 1", "Description": "a in the style of b"}
KINDS = ("png", "jpg", "webp", "tif")


def camera_exif():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Canon", "EOS R5"
    exif[0x0132], exif[0x8298] = "2024:01:02 03:04:05", "© me".encode()
    exif[0x011A], exif[0x0128] = 300.0, 2  # resolution
    camera = exif.get_ifd(EXIF_IFD)
    camera[0x9003], camera[0x829A] = "2024:01:02 03:04:05", 0.01
    camera[0x927C], camera[0xA001], camera[0xA002], camera[0xA003] = b"maker" * 99, 65535, 60, 40
    exif.get_ifd(0xA005)[1] = "R03"
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (52.0, 31.0, 12.5), 3: "E", 4: (13.0, 24.0, 1.25)})
    return exif


def save_photo(path, format="JPEG", size=(60, 40), **options):
    values = {"exif": camera_exif().tobytes(), "xmp": XMP}
    if format == "JPEG":
        values["extra"] = jpeg_iptc(IPTC)
    Image.new("RGB", size, (20, 99, 50)).save(path, format, **{**values, **options})
    return path


def checked(data, kind, size):
    """Check what every result keeps of the photo of ``save_photo``; return the opened picture."""
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.size == size
    exif = image.getexif()
    assert (exif[0x010F], exif[0x0110], exif[0x0132]) == ("Canon", "EOS R5", "2024:01:02 03:04:05")
    assert exif[0x0112] == 1
    assert exif[0x8298].encode("latin-1") == "© me".encode()
    camera = exif.get_ifd(EXIF_IFD)
    assert camera[0x9003] == "2024:01:02 03:04:05"
    assert float(camera[0x829A]) == 0.01
    assert (camera[0xA001], camera[0xA002], camera[0xA003]) == (1, *size)
    assert not {0x927C, 0xA005} & set(camera)  # the maker's notes, Adobe RGB
    gps = exif.get_ifd(GPS_IFD)
    assert (gps[1], gps[3]) == ("N", "E")
    assert tuple(map(float, gps[2])) == (52.0, 31.0, 12.5)
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or exif[700]
    xmp = xmp if isinstance(xmp, str) else xmp.decode()
    assert re.search("Gr(ü|&#252;)(ß|&#223;)e", xmp)
    assert 'Rating="4"' in xmp
    assert 'Width="7"' in xmp
    for gone in ("Orientation", "MotionPhoto", "Version=", "Thumbnails"):
        assert gone not in xmp
    return image


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [False, True])
def test_a_result_keeps_what_describes_the_photo(tmp_path, kind, alpha):
    kept = read_metadata(save_photo(tmp_path / "photo.jpg"))
    assert kept.notes == ("kept in the result: EXIF, the GPS position, XMP, IPTC",)
    rgb = np.random.default_rng(1).integers(0, 256, (24, 36, 3), np.uint8)
    transparency = np.full((24, 36), 77, np.uint8) if alpha else None
    data = encode(rgb, kind, transparency, TEXTS, kept)
    image = checked(data, kind, (36, 24))
    if kind == "png":
        assert b"Raw profile type iptc" in data
    elif kind == "webp":
        assert image.getexif()[33723] == IPTC
    else:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"Hello", (2, 25): b"key"}
    path = tmp_path / f"out.{kind}"
    path.write_bytes(data)
    plain = encode(rgb, kind, transparency, TEXTS)
    (tmp_path / "plain").write_bytes(plain)
    assert (read_picture(path).rgb == read_picture(tmp_path / "plain").rgb).all()
    assert not any(word in plain for word in (b"Canon", b"2024:01:02", b"Hello", b"xpacket"))
    if kind == "tif":
        with tifffile.TiffFile(path) as file:
            codes = [tag.code for tag in file.pages[0].tags]
            assert codes == sorted(codes)
            assert file.pages[0].tags[GPS_IFD].value["GPSLatitudeRef"] == "N"
    again = read_metadata(path)
    assert (again.gps, again.tags[0x0110]) == (kept.gps, "EOS R5")


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
def test_photos_of_other_formats(tmp_path, format):
    options = {}
    if format == "PNG":
        from PIL.PngImagePlugin import PngInfo

        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    kept = read_metadata(save_photo(tmp_path / "photo", format, **options))
    data = encode(np.zeros((24, 36, 3), np.uint8), "jpg", None, TEXTS, kept)
    exif = Image.open(io.BytesIO(data)).getexif()
    assert exif[0x0110] == "EOS R5"
    assert exif.get_ifd(GPS_IFD)[1] == "N"
    assert b"Rating" in kept.xmp


ODD = {
    "nothing": (Metadata(), "it has no metadata to keep"),
    "a document type": (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "XMP data are left out"),
    "no XML": (b"<x><y></x>", "XMP data are left out"),
    "too much": (b"<x>" + b"y" * 61_000 + b"</x>", "more than 60,000 bytes"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_kept_is_told(tmp_path, name):
    packet, words = ODD[name]
    options = {"xmp": packet if isinstance(packet, bytes) else b"", "exif": b"", "extra": b""}
    kept = read_metadata(save_photo(tmp_path / "photo.jpg", **options))
    assert words in "; ".join(kept.notes)
    assert kept.xmp == b""


@pytest.mark.parametrize("kind", KINDS)
@given(at=st.integers(0, 400), value=st.integers(0, 255))
@example(at=13, value=13)  # a number of 16 bits that is longer
def test_damaged_metadata_never_stop_a_result(tmp_path_factory, kind, at, value):
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(save_photo(folder / "photo.jpg").read_bytes())
    start = data.index(b"Exif\0\0") + 6
    data[start + at] = value
    (folder / "photo.jpg").write_bytes(data)
    kept = read_metadata(folder / "photo.jpg")
    image = Image.open(io.BytesIO(encode(np.zeros((4, 6, 3), np.uint8), kind, None, TEXTS, kept)))
    image.load()
    assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_large_metadata_fit_with_the_settings_of_the_run(tmp_path, kind):
    exif = camera_exif()
    exif.get_ifd(EXIF_IFD)[0x9286] = b"ASCII\0\0\0" + b"x" * 50_000  # a comment of the camera
    exif[0x010E] = "y" * 12_000
    kept = read_metadata(save_photo(tmp_path / "photo.jpg", exif=exif.tobytes()))
    texts = {**TEXTS, "nst:identity": "z" * 52_000}
    data = encode(np.zeros((24, 36, 3), np.uint8), kind, None, texts, kept)
    checked(data, kind, (36, 24))


def test_metadata_are_kept_only_where_it_is_asked_for(nst, painting, tmp_path, monkeypatch):
    photo = save_photo(tmp_path / "photo.jpg", size=(40, 60))
    pair = ("--content_image_filename", photo, "--style_image_filename", painting)
    result = tmp_path / "output/photo__painting/generated_image.png"
    assert nst(*pair, *QUICK).code == 0
    plain = result.read_bytes()
    assert b"Canon" not in plain
    frame = (result.parent / "frame_00004.png").read_bytes()

    done = nst(*pair, *QUICK, "--keep_metadata", "--output_name", "{content}.png")
    assert "generated_image.png: made of generated_image.png, without painting" in done.err
    checked(result.read_bytes(), "png", (48, 32))
    assert (tmp_path / "output/photo.png").read_bytes() == result.read_bytes()
    assert "finished earlier" in nst(*pair, *QUICK, "--keep_metadata").out

    assert nst(*pair, *QUICK, "--output_name", "{content}.png").code == 0  # GPS is gone again
    assert result.read_bytes() == plain
    assert (tmp_path / "output/photo.png").read_bytes() == plain
    assert (result.parent / "frame_00004.png").read_bytes() == frame

    made = nst(*pair, *QUICK, "--keep_metadata", "--output_dir", "kept", "--output_format", "jpg")
    assert "Metadata  " in made.err
    assert "the GPS position" in made.err
    folder = tmp_path / "kept/photo__painting"
    checked((folder / "generated_image.jpg").read_bytes(), "jpg", (48, 32))
    assert not any(b"Canon" in path.read_bytes() for path in folder.glob("frame*"))
