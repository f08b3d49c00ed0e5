"""Every setting of a run: its default, range and help text, declared once.

The command line, the Python API and ``run.json`` are derived from it.
"""

from dataclasses import dataclass

from nst.output_names import output_name
from nst.parsers import (
    PIXELS,
    Choice,
    LayerWeights,
    Number,
    Optional,
    OrWord,
    Several,
    authors_weight,
    device,
    file_name,
    image_size,
    mask_colors,
    memory_size,
    path_text,
    setting,
    switch,
)
from nst.presets import PRESETS
from nst.style_losses import STYLE_LOSSES
from nst.vgg.layers import NETWORKS

GROUPS = ("Pictures", "Cost", "Optimisation", "Machine", "Output", "Many pictures")
PICTURES, COST, OPTIMISATION, MACHINE, OUTPUT, MANY = GROUPS

START_WORDS = ("noisy_content", "content", "noise", "style")
WEIGHT = Number(float, 0, 1e12)
OUTPUT_FORMATS = ("png", "jpg", "webp", "tif")
ANIMATIONS = ("gif", "mp4")
LIVE_PORT = 8765  # of --live, if it is free
# Word of --optimizer -> class in nst/engine/optimizers.py: the one line that a new optimizer needs
# beside its class (then docs/generate.py writes the word to README and schema).
OPTIMIZERS = {"adam": "Adam", "lbfgs": "LBFGS"}


@dataclass(frozen=True, init=False)
class Options:
    """The declarations of all settings; ``nst.settings.Settings`` has their values."""

    preset: str = setting(
        "classic",
        OPTIMISATION,
        "named defaults for the other options, which win where they are given: classic has those "
        "listed here, tutorial those of most tutorials, fast makes a good picture in the fewest "
        "seconds, painting the best one at the size of a screen, portrait one in which a face "
        "stays a face, poster a large one to print",
        Choice(tuple(PRESETS)),
    )
    content_image_filename: tuple[str, ...] | None = setting(
        ("temple.jpg",),
        PICTURES,
        "content pictures: what is painted; files, folders (their pictures) or quoted globs; a "
        "bare name is also looked for in images/; none for a texture",
        Optional(Several(file_name)),
        metavar="NAME",
        nargs="+",
    )
    style_image_filename: tuple[str, ...] = setting(
        ("starlit_harbour.jpg",),
        PICTURES,
        "style pictures: how it is painted; likewise; every content is painted in every style, "
        "unless --style_weights mixes the styles or each goes to its own --content_mask",
        Several(file_name),
        metavar="NAME",
        nargs="+",
    )
    style_weights: tuple[float, ...] | None = setting(
        None,
        PICTURES,
        "how much each of several styles counts; scaled to sum to 1",
        Optional(Several(Number(float, 0, 1e12, above_low=True))),
        metavar="WEIGHT",
        nargs="+",
    )
    image_size: int | str | tuple[int, int] = setting(
        400,
        PICTURES,
        "long side of the result in pixels, no more than the content has but for --enlarge; "
        "'original' keeps the content's size; WIDTHxHEIGHT is the size by --fit, or with --alpha 0 "
        "that of a texture without a content picture",
        image_size,
        metavar="PIXELS",
    )
    fit: str = setting(
        "crop",
        PICTURES,
        "how a content gets the WIDTHxHEIGHT of --image_size: crop takes its middle, inside keeps "
        "all of it and the result may be smaller, stretch changes its shape; masks and a start "
        "image of its shape are cropped likewise",
        Choice(("crop", "inside", "stretch")),
    )
    enlarge: bool = setting(
        False,
        PICTURES,
        "let the result have more pixels than the content, if --image_size asks for them",
        switch,
    )
    style_size: int | str | None = setting(
        None,
        PICTURES,
        "long side of the style picture in pixels, never enlarged, or 'original'; without it that "
        "of the content; larger makes larger strokes",
        Optional(OrWord("original", PIXELS)),
        metavar="PIXELS",
    )
    style_scale: float = setting(
        1.0,
        PICTURES,
        "resize the style picture once more by this factor, which may enlarge it",
        Number(float, 0.01, 100),
        metavar="FACTOR",
    )
    content_mask: tuple[str, ...] | None = setting(
        None,
        PICTURES,
        "where in the content each style is painted: a picture for each, white where it is and "
        "black where not; or one label picture, in which each colour is the region of a style, "
        "ascending from black, 0 or the first index, which is left out if there is one more than "
        "styles; a folder has one for each content, of the same name but for the ending; stretched "
        "to fit",
        Optional(Several(file_name)),
        metavar="FILE",
        nargs="+",
    )
    style_mask: tuple[str, ...] | None = setting(
        None,
        PICTURES,
        "likewise: where in the style picture the style is taken from; a folder has one for each "
        "style; transparent parts of a style are left out anyway",
        Optional(Several(file_name)),
        metavar="FILE",
        nargs="+",
    )
    mask_colors: tuple[str, ...] | None = setting(
        None,
        PICTURES,
        "the colours of a label picture that is the mask: in the order of the styles, red '#00f', "
        "or with the number of the style, red=1 lime=1 '#00f'=2; of palettes and grey pictures "
        "the index or level, 1 2; other colours are not painted",
        Optional(mask_colors),
        metavar="COLOUR[=STYLE]",
        nargs="+",
    )
    transparent: str = setting(
        "keep",
        PICTURES,
        "transparent parts of content and style: keep paints none in those of the content, which "
        "the result has, too, and takes no style from those of the style; ignore sees the pictures "
        "on white, as if they were opaque",
        Choice(("keep", "ignore")),
    )
    preserve_colors: str = setting(
        "none",
        PICTURES,
        "keep the colours of the content: luminance paints the brightness alone, match gives the "
        "style picture the content's colours first",
        Choice(("none", "luminance", "match")),
    )
    alpha: float = setting(
        10.0, COST, "weight of the content cost; 0 leaves it out", WEIGHT, metavar="WEIGHT"
    )
    beta: float = setting(
        40.0, COST, "weight of the style cost; 0 leaves it out", WEIGHT, metavar="WEIGHT"
    )
    tv_weight: float = setting(
        0.0, COST, "weight of the total variation cost", WEIGHT, metavar="WEIGHT"
    )
    content_layers: tuple[tuple[str, float], ...] = setting(
        ("conv4_2",),
        COST,
        "layers of the content cost; each may carry a weight, conv4_2:3 conv5_2:1, else all count "
        "the same; the weights are scaled to sum to 1",
        LayerWeights(),
        metavar="LAYER",
        nargs="+",
    )
    style_layers: tuple[tuple[str, float], ...] = setting(
        ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        COST,
        "layers of the style cost; each may carry a weight, likewise, else one of C channels has "
        "250/C^2, as in the code of the method's authors",
        LayerWeights(authors_weight),
        metavar="LAYER",
        nargs="+",
    )
    style_loss: str = setting(
        "gram",
        COST,
        "what of a layer is the style: gram, its Gram matrix; moments, that and the mean and "
        "standard deviation of each channel; wasserstein, its mean and covariance as a Gaussian; "
        "neighbours (Kolkin et al. 2022), for each part of the picture the most similar part of "
        "the style: in layers of its own, without a content cost, and if not told otherwise by 160 "
        "epochs of lbfgs from the content, over up to four scales and a last pass",
        Choice(tuple(STYLE_LOSSES)),
    )
    network: str = setting(
        "vgg19",
        COST,
        "the VGG network, of Simonyan and Zisserman's configurations E (vgg19) and D (vgg16)",
        Choice(tuple(NETWORKS)),
    )
    pooling: str = setting("avg", COST, "pooling of the VGG network", Choice(("avg", "max")))
    padding: str = setting(
        "reflect",
        COST,
        "what the convolutions see beyond the borders: the mirror image (reflect), or zeros, "
        "which leave a fringe there",
        Choice(("reflect", "zeros")),
    )
    model_path: str | None = setting(
        None,
        COST,
        "VGG weights: PyTorch .pth, .safetensors, Keras .h5 or .keras, MatConvNet .mat; else a "
        "file in pretrained-model/, else those of an installed package, else Keras' own, "
        "downloaded",
        Optional(file_name),
        metavar="FILE",
    )
    epochs: int = setting(
        200,
        OPTIMISATION,
        "iterations of the optimizer, over all scales",
        Number(int, 1, 1_000_000),
        metavar="N",
    )
    optimizer: str = setting(
        "adam",
        OPTIMISATION,
        "lbfgs (limited-memory BFGS) reaches a far lower cost in as many iterations; "
        "--learning_rate means adam",
        Choice(tuple(OPTIMIZERS)),
    )
    learning_rate: float = setting(
        10.0,
        OPTIMISATION,
        "step size of adam, in pixel values of 0..255; lbfgs finds its own",
        Number(float, 0, 1000, above_low=True),
        metavar="RATE",
    )
    init: str = setting(
        "noisy_content",
        OPTIMISATION,
        f"start image: {', '.join(START_WORDS)}, or a picture file, stretched to the content's "
        "size",
        file_name,
        metavar="START",
    )
    noise_ratio: float = setting(
        0.3,
        OPTIMISATION,
        "share of noise in the start image noisy_content",
        Number(float, 0, 1),
        metavar="RATIO",
    )
    scales: int | str = setting(
        1,
        OPTIMISATION,
        "paint coarse to fine at N sizes, each half the next, for larger strokes; 'auto' starts at "
        "400 pixels, for strokes that fit a large picture",
        OrWord("auto", Number(int, 1, 12)),
        metavar="N",
    )
    seed: int = setting(
        0,
        OPTIMISATION,
        "seed of the noise: same seed, same picture",
        Number(int, 0, 2**32 - 1),
        metavar="N",
    )
    device: str = setting(
        "auto",
        MACHINE,
        "what evaluates: cpu, gpu (the first one), gpu:1 (the second), or auto, a GPU if "
        "TensorFlow sees one",
        device,
        metavar="DEVICE",
    )
    precision: str = setting(
        "auto",
        MACHINE,
        "dtype of the convolutions; auto takes bfloat16 where the device is faster with it",
        Choice(("auto", "float32", "bfloat16", "float16")),
    )
    max_memory: int | None = setting(
        None,
        MACHINE,
        "most memory to use on the device that evaluates, the GPU's or this machine's, such as "
        "800M or 4G; without it what is free there, less a margin; large pictures are evaluated "
        "by tiles to stay within it, with the same result",
        Optional(memory_size),
        metavar="SIZE",
    )
    tile_size: int | None = setting(
        None,
        MACHINE,
        "evaluate by tiles of about this many pixels; deeper layers, which need less memory, use "
        "larger ones where they fit; without it tiles are used where memory asks for them; "
        "smaller ones are taken if memory runs out",
        Optional(PIXELS),
        metavar="PIXELS",
    )
    threads: int | None = setting(
        None,
        MACHINE,
        "threads of each pool of TensorFlow; without it one for each processor that this job may "
        "use; another number may round the last bits of a picture differently; workers of "
        "--cluster have a number of their own",
        Optional(Number(int, 1, 1024)),
        metavar="N",
    )
    dry_run: bool = setting(
        False, MACHINE, "print sizes, network, memory and time, and make nothing", switch
    )
    output_dir: str = setting(
        "output", OUTPUT, "where the run folders are made", file_name, metavar="FOLDER"
    )
    print_every: int = setting(
        20,
        OUTPUT,
        "print the costs and save a frame every N iterations",
        Number(int, 1, 1_000_000),
        metavar="N",
    )
    output_format: str = setting(
        "png",
        OUTPUT,
        "kind of the result: png, jpg (smaller; no transparency), webp (lossless), or tif of 16 "
        "bits; frames are png",
        Choice(OUTPUT_FORMATS),
    )
    animation: str = setting(
        "none",
        OUTPUT,
        "make a gif or an mp4 of the frames: the image forming; also of a finished run",
        Choice(("none", *ANIMATIONS)),
    )
    tensorboard: bool = setting(
        False,
        OUTPUT,
        "log costs and frames for TensorBoard, too, in the run folder (pip install tensorboard)",
        switch,
    )
    output_name: str | None = setting(
        None,
        OUTPUT,
        "also put the finished picture in the output folder itself, under a name such as "
        "{content}_{style}.png; its suffix is the kind of the file, and of the result if there is "
        "no --output_format; fields: content, style, and settings such as preset, epochs and "
        "seed; a name that is taken gets -2",
        Optional(output_name),
        metavar="NAME",
    )
    keep_metadata: bool = setting(
        False,
        OUTPUT,
        "copy the photo's metadata to the result: EXIF with date, camera and GPS position, XMP, "
        "IPTC",
        switch,
    )
    keep_state: bool = setting(
        False,
        OUTPUT,
        "keep the state of the optimizer of a finished run in its folder, so that a run of more "
        "--epochs goes on from its end (single-scale); it takes 36 bytes a pixel for adam, up to "
        "540 for lbfgs",
        switch,
    )
    overwrite: bool = setting(
        False, OUTPUT, "start again in place instead of keeping an earlier result", switch
    )
    exclude: tuple[str, ...] | None = setting(
        None,
        MANY,
        "leave files and folders alone whose name, or whose path in the folder that was given, "
        'matches a pattern, such as "*_small.jpg" or "*/cache/*"; hidden files and the folders of '
        "systems, such as @eaDir and $RECYCLE.BIN, always are",
        Optional(Several(path_text)),
        metavar="PATTERN",
        nargs="+",
    )
    cluster: str | None = setting(
        None,
        MANY,
        "make the pictures on a Ray cluster: 'local' for this machine, or the address of its head "
        "node, such as 192.168.1.5:6379; the tiles of a single picture are spread over it",
        Optional(file_name),
        metavar="ADDRESS",
    )
