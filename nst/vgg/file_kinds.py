"""Tell by its first bytes what a weights file is: a kind that is read, or what else."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from nst.text import printable
from nst.vgg import readers
from nst.vgg.arrays import Network
from nst.vgg.torch_file import STREAM

Reader = Callable[[Path, str], Network]

READ = "MatConvNet .mat, Keras .h5 and .keras, PyTorch .pth, .safetensors, ONNX"
AGAIN = "download it again"
HEAD = 1024  # bytes that are looked at
SAME_WEIGHTS = "take the same network as Keras' .h5 or PyTorch's .pth"
# Beginning of the file -> what it is, and what to do. Longer ones first.
BEGINNINGS = (
    (rb"MATLAB 7\.3 MAT-file", "a MATLAB 7.3 file", "save it in MATLAB with save(..., '-v7')"),
    (rb"\x93NUMPY", "a NumPy array file (.npy)", SAME_WEIGHTS),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "a compressed file", "unpack it"),
    (rb".{257}ustar", "a tar archive", "unpack it"),
    (
        rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|BM.{4}\0{4}|II\*\0|MM\0\*|....ftyp",
        "a picture or film",
        "name pictures with --content_image_filename and --style_image_filename",
    ),
    (rb"%PDF", "a PDF document", "give a weights file"),
    (rb"GGUF|lmgg", "a language model (GGUF)", "give the weights of a VGG"),
    (rb"....TFL3", "a TensorFlow Lite model", SAME_WEIGHTS),
    (rb"(\x04\0\0\0|\x03\0\0\0).{0,12}V 1", "a file of Lua Torch (.t7)", SAME_WEIGHTS),
    (rb"\x80[\x02-\x05]", "a pickle of Python, but none of PyTorch's", "save model.state_dict()"),
    # Field 1, the name of the network, then its layers in the old or the new field, or its input.
    (rb"\n.[ -~]{2,100}(\x12|\xa2\x06|\x1a|\")", "a Caffe model", SAME_WEIGHTS),
    (rb"\0{512}", "empty at its beginning, as an unfinished download is", AGAIN),
)
TEXTS = (
    (r"version https://git-lfs", "a git-lfs pointer, not the file itself", "run git lfs pull"),
    (r"/annex/objects/", "a git-annex pointer, not the file itself", "run git annex get"),
    (r"<!doctype|<html|<head|<\?xml|<error", "a web page, not weights", AGAIN),
    (r"[{\[]", "a text file (JSON)", AGAIN),
    (r"(name: *\"|layers? *\{|input: *\")", "a Caffe prototxt: the layers alone", SAME_WEIGHTS),
    (r"model_checkpoint_path", "the index of TensorFlow checkpoints", SAME_WEIGHTS),
    (r"", "a text file, not weights", "give a weights file"),
)
CHECKPOINT_END = 0xDB4775248B80FB57.to_bytes(8, "little")  # of TensorFlow's tables


def find_reader(path: Path) -> Reader:
    """The reader of a file; raises OSError, and ValueError with what it is and what to do."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
        size = file.seek(0, 2)
        file.seek(max(size - 8, 0))
        tail = file.read()
    suffix = path.suffix.lower()
    if not size:
        raise ValueError(f"is empty (0 bytes); {AGAIN}")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return readers.read_keras
    if head.startswith(b"MATLAB 5.0"):
        return readers.read_mat
    if head.startswith(STREAM):
        return readers.read_torch
    if head.startswith(b"PK"):
        return _of_zip(path, size)
    if suffix == ".onnx" and not _text(head):
        return readers.read_onnx
    if head[8:9] == b"{" and head[6:8] == b"\0\0":
        return readers.read_safetensors
    if tail == CHECKPOINT_END or re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        raise ValueError(f"is a TensorFlow checkpoint; {SAME_WEIGHTS}")
    if suffix == ".pb":
        raise ValueError(f"is a TensorFlow graph or SavedModel; {SAME_WEIGHTS}")
    if (text := _text(head)) is not None:
        pattern = ((what, advice) for start, what, advice in TEXTS if re.match(start, text))
        what, advice = next(pattern)
        if length := re.search(r"\nsize (\d+)", text):
            advice += f" (the file has {int(length[1]):,} bytes)"
        raise ValueError(f"is {what}; {advice}")
    for start, what, advice in BEGINNINGS:
        if re.match(start, head, re.DOTALL):
            raise ValueError(f"is {what}; {advice}")
    if re.match(rb"\x08[\x03-\x14][\x12\x3a]", head):
        return readers.read_onnx
    raise ValueError(f"is not a known kind of VGG weights ({READ}); check the file")


def describe_folder(path: Path) -> str:
    """What a folder is that was given as weights."""
    if (path / "saved_model.pb").exists():
        return f"is a TensorFlow SavedModel; {SAME_WEIGHTS}"
    return "is a folder; give a file in it"


def _text(head: bytes) -> str | None:
    """The beginning of a file in small letters, without blanks, if it is text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head[: len(head) // 2 * 2].decode("utf-16", "replace")
    else:
        try:
            text = head[:-3].decode("utf-8-sig") if len(head) == HEAD else head.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None
    printed = sum(c.isprintable() or c.isspace() for c in text)
    return text.strip().lower() if printed == len(text) else None


def _of_zip(path: Path, size: int) -> Reader:
    """The reader of a zip archive; raises ValueError with what else it is."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError):
        raise ValueError(
            f"is a PyTorch file, .keras file or zip archive that ends early: {size:,} bytes, and "
            f"the directory at its end is missing; {AGAIN}"
        ) from None
    if "model.weights.h5" in names:
        return readers.read_keras
    if any(name.split("/")[1:] == ["data.pkl"] for name in names):
        return readers.read_torch
    if any(name.endswith(".npy") for name in names):
        raise ValueError(f"is a NumPy archive (.npz); {SAME_WEIGHTS}")
    listed = printable(", ".join(names[:3]))[:80]
    raise ValueError(f"is a zip archive (with {listed or 'nothing in it'}); unpack it")
