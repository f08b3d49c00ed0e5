"""``report.html``: one run on one page that needs nothing but itself, opened from disk.

What is embedded is small enough for the whole page to stay below 5 MB.
"""

import base64
import shlex
from pathlib import Path
from typing import Any

from PIL import Image

from nst import layout
from nst.command_line import command_line
from nst.pages.finished_run import FinishedRun
from nst.pages.render import render_page
from nst.pictures.thumbnails import choose_evenly, encode_jpeg, open_picture, shrink
from nst.settings import Settings
from nst.text import duration_text, memory_text

SIDE, FRAME_SIDE, STYLE_SIDE = 1200, 640, 480  # pixels along the long side, at most
# Most bytes of content and result each, of all the frames, and of all the styles; as text they grow
# by a third.
MOST, MOST_FRAMES, MOST_STYLES = 600_000, 1_600_000, 250_000
FRAMES = 60  # at most
STYLES = 24


def render_report(run: FinishedRun) -> bytes:
    """The report of a finished run, without the frames that cannot be read."""
    settings, pictures, folder = run.settings, run.pictures, run.folder
    before = None
    if pictures["content"]:
        content = Image.fromarray(pictures["content"][0].rgb)
        before = _source(encode_jpeg(content, SIDE, MOST, 90))
    width, height = shrink(run.result, SIDE).size
    by_layer = bool(settings.used_style_layers)
    links = [layout.PLOT, layout.COSTS]
    if by_layer:
        links.append(layout.STYLE_COSTS)
    links.append(layout.MANIFEST)
    links += [path.name for path in sorted(folder.glob(f"{layout.ANIMATION}.*"))]
    files = {role: [picture.path for picture in group] for role, group in pictures.items()}
    manifest = shlex.quote(str((folder / layout.MANIFEST).absolute()))
    return render_page(
        "report.html",
        title=run.title,
        summary=_summary(run.manifest),
        before=before,
        after=_source(encode_jpeg(run.result, SIDE, MOST, 90)),
        width=width,
        height=height,
        picture=f"{layout.RESULT}.{settings.output_format}",
        others=links,
        styles=_styles(run),
        by_layer=by_layer,
        command=command_line(settings, files),
        from_run=f"python nst_main.py --from_run {manifest} --output_dir again",
        facts=_facts(run.manifest),
        settings=_settings(settings),
        data={"frames": _frames(run), "costs": run.curves},
    )


def _styles(run: FinishedRun) -> list[dict[str, str]]:
    """Name, picture and share of up to STYLES styles."""
    styles = run.pictures["style"]
    shares = run.settings.style_shares(len(styles)) if styles else ()
    return [
        {
            "name": style.path.name,
            "source": _source(
                encode_jpeg(Image.fromarray(style.rgb), STYLE_SIDE, MOST_STYLES // len(styles))
            ),
            "share": f"{share:.3g}" if len(styles) > 1 else "",
        }
        for style, share in list(zip(styles, shares))[:STYLES]
    ]


def _source(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _frames(run: FinishedRun) -> list[dict[str, Any]]:
    """Up to FRAMES of the frames, evenly chosen; the last one is the result."""
    last = run.manifest["iterations"]
    frames: dict[int, Path | None] = {**layout.frames(run.folder, last - 1), last: None}
    chosen = choose_evenly(list(frames), FRAMES)
    entries = []
    for iteration in chosen:
        path = frames[iteration]
        image = open_picture(path) if path else run.result
        if image is None:
            continue
        source = _source(encode_jpeg(image, FRAME_SIDE, MOST_FRAMES // len(chosen)))
        entries.append({"source": source, "iteration": iteration, "J": run.cost_at(iteration)})
    return entries


def _summary(manifest: dict[str, Any]) -> str:
    size, iterations = manifest["size"], manifest["iterations"]
    day, clock = manifest["ended"].split("T")
    duration = duration_text(manifest["seconds"])
    return (
        f"{size['width']} x {size['height']} pixels, {iterations} iterations in {duration}, "
        f"{day} {clock[:5]}"
    )


def _facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of what is known of a run beyond its settings."""
    network, seconds = manifest["network"], manifest["seconds"]
    iterations = max(manifest["iterations"], 1)
    facts = [
        ("Begun, ended", f"{manifest['started']}, {manifest['ended']}"),
        (
            "Work",
            f"{duration_text(seconds)}; {seconds / iterations:.3g} s an iteration",
        ),
        (
            "Network",
            "; ".join((f"{network['name']}, {network['source']}", *network.get("notes", ()))),
        ),
        ("SHA-256 of the weights", network["sha256"]),
        ("Precision", manifest["precision"]),
    ]
    if manifest["peak_memory_bytes"]:
        forecast = memory_text(manifest["foretold_memory_bytes"])
        peak = memory_text(manifest["peak_memory_bytes"])
        facts.insert(2, ("Memory", f"{peak} of this process at most; {forecast} forecast"))
    for number, scale in enumerate(manifest["scales"], 1):
        tiles = max(scale["tiles"])
        how = f"by {tiles} tiles" if tiles > 1 else "as a whole"
        facts.append((f"Scale {number}", f"{scale['width']} x {scale['height']}, {how}"))
    facts += [(name, f"{value:.6g}") for name, value in manifest["final_costs"].items()]
    for role, pictures in manifest["files"].items():
        for file in pictures:
            size = " x ".join(map(str, file["size"]))
            text = f"{file['path']}, {size}, SHA-256 {file['sha256']}"
            facts.append((f"{role.replace('_', ' ').capitalize()} file", text))
    facts.append(("Versions", ", ".join(f"{n} {v}" for n, v in manifest["versions"].items())))
    return facts


def _settings(settings: Settings) -> list[tuple[str, str, bool]]:
    """Name and value of every setting, and whether it is not the preset's default."""
    changed = settings.changed()
    return [(name, _setting_text(value), name in changed) for name, value in vars(settings).items()]


def _setting_text(value: Any) -> str:
    if isinstance(value, tuple):
        pairs = [f"{i[0]}:{i[1]:.4g}" if isinstance(i, tuple) else str(i) for i in value]
        return "x".join(pairs) if all(isinstance(i, int) for i in value) else " ".join(pairs)
    return "none" if value is None else str(value)
