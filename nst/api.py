"""For use from Python: a picture with its run folder, a job, or J and its gradient alone."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import nst.engine.tensorflow_alone  # noqa: F401 (before all that import TensorFlow)
from nst.engine.devices import find_device
from nst.engine.inputs import prepare_inputs
from nst.engine.objective import Objective
from nst.engine.step import Step
from nst.engine.tensorflow_alone import tf
from nst.engine.tiling import WHOLE, Tiling
from nst.pages.gallery import is_outdated_by, write_gallery
from nst.runs import run
from nst.runs.folder import RunFolder
from nst.runs.job import Job, read_job
from nst.runs.run import ignore
from nst.runs.session import Session, open_session
from nst.settings import Settings
from nst.vgg import weights as weight_files
from nst.vgg.weights import Weights
from nst_utils import build_graphs, make_objective

Say = Callable[[str], None]


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def run_job(
    job: Job,
    say: Say | None = None,
    on_step: Callable[[Step], None] = ignore,
    session: Session | None = None,
) -> RunFolder:
    """Make the picture of ``job`` in its run folder, and return the folder; see ``nst.runs.run``.

    say: gets lines for the user, None shows nothing, no progress bar of a download either. on_step:
    gets every Step. session: with other weights than ``model_path`` says, or another device than
    ``device``.
    Raises NSTError; whatever stops a run, the same job is resumed from where it was saved.
    """
    if session is None:
        settings = job.settings
        device = find_device(settings.device)
        file = weight_files.find(settings.model_path, settings.network, say)
        session = open_session(file, device)
    return run.run_job(job, session, say=say or ignore, on_step=on_step)


def build_objective(
    content: np.ndarray | None,
    style: np.ndarray | Sequence[np.ndarray],
    weights: Weights,
    settings: Settings | None = None,
    *,
    content_masks: Sequence[np.ndarray] = (),
    style_masks: Sequence[np.ndarray] = (),
    dtype: tf.DType = tf.float32,
    tiling: Tiling = WHOLE,
) -> Objective:
    """Return J of ``settings`` at full size: a function from an image to (costs, gradient).

    content, style, masks: as for ``transfer_style``. dtype: of the convolutions.
    """
    settings = settings or Settings()
    inputs = prepare_inputs(content, style, settings, content_masks, style_masks)
    return make_objective(build_graphs(weights, settings, dtype), inputs, tiling, settings)


class NeuralStyleTransfer:
    """One content and one style picture.

    content_path, style_path: picture files, or bare names in ``images/``; no content (None) with
        ``alpha=0, image_size=(width, height)`` makes a texture.
    model_path: VGG weights; None takes the first source of ``network`` (see README).
    settings: any other field of ``Settings``, for instance ``image_size=512``; ``dry_run``,
        ``cluster`` and ``threads`` (those of TensorFlow are the caller's) have no meaning here.
    folder: the run folder that ``run`` wrote last; its ``path``, its ``picture``.
    """

    def __init__(
        self,
        content_path: str | None,
        style_path: str,
        model_path: str | None = None,
        **settings: Any,
    ) -> None:
        self.settings = Settings(
            content_image_filename=content_path,
            style_image_filename=style_path,
            model_path=model_path,
            **settings,
        )
        self.folder: RunFolder | None = None

    def run(
        self,
        num_iterations: int | None = None,
        on_step: Callable[[Step], None] = ignore,
        say: Say | None = _to_stderr,
    ) -> np.ndarray:
        """Make the picture in its run folder below ``output/``, as the command line does.

        num_iterations: instead of ``epochs``. on_step, say: as of ``run_job``.
        Returns the picture, (H, W, 3) uint8 sRGB. Raises NSTError.
        """
        settings = replace(self.settings, dry_run=False)
        if num_iterations is not None:
            settings = replace(settings, epochs=num_iterations)
        self.folder = run_job(read_job(settings), say, on_step)
        if is_outdated_by(self.folder.path):
            write_gallery(self.folder.path.parent)
        return self.folder.result()
