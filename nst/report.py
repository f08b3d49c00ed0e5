"""``report.html``: one run on one page that needs nothing but itself, opened from disk.

What is embedded is small enough for the whole page to stay below 5 MB.
"""

import base64
import shlex
from pathlib import Path
from typing import Any

from PIL import Image

from nst import jobs, manifest, pages, place, rerun, thumbnails
from nst.cost_log import CostLog
from nst.jobs import Job
from nst.plan import duration_text, memory_text

SIDE, FRAME_SIDE, STYLE_SIDE = 1200, 640, 480  # pixels along the long side, at most
# Bytes, before they grow by a third as text: of content and result each, of all the frames, of all
# the styles.
MOST, MOST_FRAMES, MOST_STYLES = 600_000, 1_600_000, 250_000
FRAMES = 60  # at most
STYLES = 24


def page(
    folder: Path,
    job: Job,
    found: dict[str, Any],
    log: CostLog,
    result: Image.Image,
    frames: dict[int, Path],
) -> bytes:
    """The report of a finished run, without the frames that cannot be read.

    found: its manifest. result: RGB, of full size. frames: those before it, by iteration.
    """
    settings = job.settings
    after = thumbnails.jpeg(result, SIDE, MOST, 90)
    before = None
    if job.content:
        before = _source(thumbnails.jpeg(Image.fromarray(job.content.rgb), SIDE, MOST, 90))
    shown = thumbnails.shrunk(result, SIDE).size
    shares = settings.style_shares(len(job.styles)) if job.styles else ()
    styles = [
        {
            "name": style.path.name,
            "source": _source(
                thumbnails.jpeg(
                    Image.fromarray(style.rgb), STYLE_SIDE, MOST_STYLES // len(job.styles)
                )
            ),
            "share": f"{share:.3g}" if len(job.styles) > 1 else "",
        }
        for style, share in list(zip(job.styles, shares))[:STYLES]
    ]
    of_frames = _frames(frames | {found["iterations"]: None}, log, result)
    others = [place.PLOT, place.COSTS, *[place.STYLE_COSTS] * bool(log.layers), manifest.NAME]
    others += [path.name for path in sorted(folder.glob(f"{place.ANIMATION}.*"))]
    files = {role: [picture.path for picture in ps] for role, ps in job.pictures.items()}
    run = shlex.quote(str((folder / manifest.NAME).absolute()))
    return pages.render(
        "report.html",
        title=jobs.title(*job.names),
        summary=_summary(job, found),
        before=before,
        after=_source(after),
        width=shown[0],
        height=shown[1],
        picture=f"{place.RESULT}.{settings.output_format}",
        others=others,
        styles=styles,
        by_layer=bool(log.layers),
        command=rerun.command(settings, files),
        from_run=f"python nst_main.py --from_run {run} --output_dir again",
        facts=_facts(job, found),
        settings=_settings(job),
        data={"frames": of_frames, "costs": log.curves()},
    )


def _source(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _frames(
    frames: dict[int, Path | None], log: CostLog, result: Image.Image
) -> list[dict[str, Any]]:
    """Up to FRAMES of the frames, evenly chosen; the last one is the result."""
    chosen = thumbnails.evenly(list(frames), FRAMES)
    most = MOST_FRAMES // len(chosen)
    found = []
    for number in chosen:
        image = thumbnails.opened(frames[number]) if frames[number] else result
        if image is None:
            continue
        source = _source(thumbnails.jpeg(image, FRAME_SIDE, most))
        found.append({"source": source, "iteration": number, "J": log.total(number)})
    return found


def _summary(job: Job, found: dict[str, Any]) -> str:
    height, width = job.size
    day, time = found["ended"].split("T")
    took = duration_text(found["seconds"])
    done = f"{found['iterations']} iterations in {took}"
    return f"{width} x {height} pixels, {done}, {day} {time[:5]}"


def _facts(job: Job, found: dict[str, Any]) -> list[tuple[str, str]]:
    """What the page tells of a run beyond its settings."""
    network, seconds = found["network"], found["seconds"]
    facts = [
        ("Begun, ended", f"{found['started']}, {found['ended']}"),
        (
            "Work",
            f"{duration_text(seconds)}; {seconds / max(found['iterations'], 1):.3g} s an iteration",
        ),
        ("Network", f"{network['name']}, {network['source']}"),
        ("SHA-256 of the weights", network["sha256"]),
        ("Number type", found["precision"]),
    ]
    if found["peak_memory_bytes"]:
        foretold = memory_text(found["foretold_memory_bytes"])
        peak = memory_text(found["peak_memory_bytes"])
        facts.insert(2, ("Memory", f"{peak} of this process at most; {foretold} foretold"))
    for number, scale in enumerate(found["scales"], 1):
        tiles = max(scale["tiles"])
        how = f"by {tiles} tiles" if tiles > 1 else "as a whole"
        facts.append((f"Scale {number}", f"{scale['width']} x {scale['height']}, {how}"))
    facts += [(name, f"{value:.6g}") for name, value in found["final_costs"].items()]
    for role, pictures in found["files"].items():
        for file in pictures:
            size = " x ".join(map(str, file["size"]))
            text = f"{file['path']}, {size}, SHA-256 {file['sha256']}"
            facts.append((f"{role.replace('_', ' ').capitalize()} file", text))
    facts.append(("Versions", ", ".join(f"{n} {v}" for n, v in found["versions"].items())))
    return facts


def _settings(job: Job) -> list[tuple[str, str, bool]]:
    """Name, value and whether it is not the preset's default, of every setting."""
    changed = job.settings.changed()
    return [(name, _shown(value), name in changed) for name, value in vars(job.settings).items()]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        pairs = [f"{i[0]}:{i[1]:.4g}" if isinstance(i, tuple) else str(i) for i in value]
        return "x".join(pairs) if all(isinstance(i, int) for i in value) else " ".join(pairs)
    return "none" if value is None else str(value)
