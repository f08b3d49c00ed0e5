"""The settings of one run: their values, from what is given, and what follows from them."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from nst.errors import UsageError
from nst.options import Options
from nst.output_names import name_format
from nst.parsers import parse_setting
from nst.presets import PRESETS
from nst.style_losses import MATCHED_BLOCKS, STYLE_LOSSES, StyleLoss
from nst.vgg.layers import NETWORKS, block, convolutions


@dataclass(frozen=True, init=False)
class Settings(Options):
    """The settings of one run, validated.

    A setting that is not given takes its value from ``preset``, or else the default declared in
    ``nst.options``. In a copy by ``dataclasses.replace`` every setting counts as given. Raises
    UsageError for a value out of range and for values that contradict each other.
    """

    def __init__(self, **given: Any) -> None:
        specs = {spec.name: spec for spec in fields(self)}
        if unknown := sorted(set(given) - set(specs)):
            raise UsageError(f"{', '.join(unknown)}: no such setting; see --help")
        values = {**self._defaults(given), **given}
        for name, spec in specs.items():
            object.__setattr__(self, name, parse_setting(spec, values[name]))
        self._check()

    @staticmethod
    def _defaults(given: dict[str, Any]) -> dict[str, Any]:
        """Defaults for the settings not in ``given``.

        They are those declared, then of the preset, the style loss, and a texture.
        """
        specs = {spec.name: spec for spec in fields(Settings)}
        preset = parse_setting(specs["preset"], given.get("preset", specs["preset"].default))
        defaults = {name: spec.default for name, spec in specs.items()}
        defaults |= {"preset": preset, **PRESETS[preset]}
        loss = parse_setting(specs["style_loss"], given.get("style_loss", defaults["style_loss"]))
        defaults |= STYLE_LOSSES[loss].defaults
        if "epochs" in PRESETS[preset]:
            defaults["epochs"] = PRESETS[preset]["epochs"]
        if "learning_rate" in given:
            defaults["optimizer"] = "adam"  # the other one finds its own step size
        size = parse_setting(specs["image_size"], given.get("image_size", defaults["image_size"]))
        name = parse_setting(specs["output_name"], given.get("output_name"))
        if name and "output_format" not in given:
            defaults["output_format"] = name_format(name) or defaults["output_format"]
        alpha = parse_setting(specs["alpha"], given.get("alpha", defaults["alpha"]))
        if isinstance(size, tuple) and not alpha:  # a texture
            defaults |= {"content_image_filename": None, "init": "noise"}
        return defaults

    def _check(self) -> None:
        """Raise UsageError for settings that contradict each other."""
        if self.alpha == 0 and self.beta == 0:
            raise UsageError("alpha and beta are both 0: there is nothing to minimise; raise one")
        if self.texture_size:
            without = "WIDTHxHEIGHT with --alpha 0 makes a texture without a content picture"
            if self.content_image_filename is not None:
                raise UsageError(f"image_size {without}; drop --content_image_filename")
            if self.init in ("content", "noisy_content"):
                raise UsageError(f"image_size {without}: --init can be noise, style or a file")
            if self.preserve_colors != "none":
                raise UsageError(f"image_size {without}: drop --preserve_colors")
        elif self.content_image_filename is None:
            raise UsageError("content_image_filename: give one, or --alpha 0 and a WIDTHxHEIGHT")
        if self.mask_colors and not (self.content_mask or self.style_mask):
            raise UsageError("mask_colors: give the label picture as --content_mask, too")
        if self.loss.matches:
            self._check_matching()
        if self.cluster and self.device.startswith("gpu:"):
            raise UsageError(
                f"device: {self.device}: with --cluster, Ray chooses the GPU of each worker; use "
                "--device gpu"
            )

    def _check_matching(self) -> None:
        """Raise UsageError for settings that a style loss does not know which matches positions."""
        if self.beta == 0:
            raise UsageError(f"style_loss {self.style_loss}: it needs a style; raise --beta")
        if self.texture_size or self.alpha == 0:
            raise UsageError(
                f"style_loss {self.style_loss}: it always holds the content; give one, and drop "
                "--alpha 0, or use --style_loss gram"
            )
        own = parse_setting(
            next(spec for spec in fields(self) if spec.name == "style_layers"),
            self._defaults({"preset": self.preset})["style_layers"],
        )
        if self.style_layers != own:
            raise UsageError(
                f"style_layers: --style_loss {self.style_loss} always compares blocks "
                f"{MATCHED_BLOCKS[0]} to {MATCHED_BLOCKS[-1]}; drop it"
            )

    @property
    def loss(self) -> StyleLoss:
        """What ``style_loss`` names."""
        return STYLE_LOSSES[self.style_loss]

    @property
    def long_side(self) -> int | None:
        """Pixels along the long side of the result; None for ``original`` and for a texture."""
        return self.image_size if isinstance(self.image_size, int) else None

    @property
    def texture_size(self) -> tuple[int, int] | None:
        """(height, width) of a texture, which has no content picture; None for other results."""
        if not isinstance(self.image_size, tuple) or self.alpha:
            return None
        width, height = self.image_size
        return height, width

    @property
    def exact_size(self) -> tuple[int, int] | None:
        """(height, width) that a content is to get by ``fit``; None if it keeps its shape."""
        if not isinstance(self.image_size, tuple) or not self.alpha:
            return None
        width, height = self.image_size
        return height, width

    @property
    def used_content_layers(self) -> tuple[tuple[str, float], ...]:
        """The content layers with their weights; none if alpha is 0, or positions are matched."""
        return self.content_layers if self.alpha and not self.loss.matches else ()

    @property
    def used_style_layers(self) -> tuple[tuple[str, float], ...]:
        """The style layers with their weights; none if beta is 0."""
        if self.loss.matches:
            layers = convolutions(NETWORKS[self.network])
            return tuple((layer, 1.0) for layer in layers if block(layer) in MATCHED_BLOCKS)
        return self.style_layers if self.beta else ()

    @property
    def used_layers(self) -> tuple[str, ...]:
        """The names of the used content and style layers, each once."""
        return tuple(dict(self.used_content_layers + self.used_style_layers))

    def cost(self) -> tuple[Any, ...]:
        """The settings that decide J, for pictures of any size and in any style."""
        layers = self.used_content_layers, self.used_style_layers
        return (
            self.alpha,
            self.beta,
            self.tv_weight,
            *layers,
            self.style_loss,
            self.pooling,
            self.padding,
        )

    def style_shares(self, count: int) -> tuple[float, ...]:
        """The weights of ``count`` styles, summing to 1; UsageError for another number of them."""
        weights = self.style_weights or (1.0,) * count
        if len(weights) != count:
            raise UsageError(f"style_weights: {len(weights)} for {count} styles; give one for each")
        return tuple(weight / sum(weights) for weight in weights)

    @property
    def named_regions(self) -> tuple[tuple[str, int], ...]:
        """(colour or number, number of its style from 1) of ``mask_colors``."""
        pairs = [text.partition("=") for text in self.mask_colors or ()]
        return tuple((name, int(style)) for name, _, style in pairs)

    def changed(self) -> dict[str, Any]:
        """The settings that differ from the defaults of the preset."""
        defaults = self._defaults(
            {
                "preset": self.preset,
                "image_size": self.image_size,
                "alpha": self.alpha,
                "style_loss": self.style_loss,
            }
        )
        return {
            spec.name: getattr(self, spec.name)
            for spec in fields(self)
            if getattr(self, spec.name) != parse_setting(spec, defaults[spec.name])
        }

    def identity(self) -> dict[str, Any]:
        """The settings that decide the picture.

        Input files are left out: they are compared by their hashes.
        """
        excluded = {
            "preset",
            "content_image_filename",
            "style_image_filename",
            "content_mask",
            "style_mask",
            "network",  # the hash of its weights is compared
            "model_path",
            "device",
            "max_memory",
            "tile_size",
            "threads",
            "dry_run",
            "output_dir",
            "output_format",
            "output_name",
            "keep_metadata",
            "keep_state",
            "print_every",
            "animation",
            "tensorboard",
            "overwrite",
            "exclude",
            "cluster",
        }
        return {name: value for name, value in asdict(self).items() if name not in excluded}
