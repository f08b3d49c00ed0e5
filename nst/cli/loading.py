"""Load NumPy and TensorFlow: with how many threads, which messages, and what if they fail."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from nst import limits
from nst.errors import TensorFlowError
from nst.lean_import import lean_import
from nst.silence import last_words
from nst.text import cause


def limit_numpy(threads: int | None) -> None:
    """Let NumPy, which makes its threads when it is imported, make no more than this job may use.

    threads: of the settings. Raises MemoryLimitError if there may not be enough threads.
    """
    count = limits.choose_threads(threads)
    if count < limits.schedulable():
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(count))


def load_tensorflow(
    threads: int | None, verbose: bool, say: Callable[[str], None], resources: contextlib.ExitStack
) -> None:
    """Import the method, with as many of TensorFlow's messages as the user wants.

    TensorFlow gets the threads that this job may use. threads: of the settings. resources: what is
    to be undone at the end. Raises MemoryLimitError if it would not fit into a limit, and
    TensorFlowError.
    """
    count = limits.choose_threads(threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3")
    if "tensorflow" not in sys.modules:
        limits.check_loading(count)
        limits.save_address_space()
    if sys.stderr.isatty():
        say("Loading TensorFlow ...")
    # Without Keras, which brings Matplotlib along, TensorFlow is there in two thirds of the time.
    lean = lean_import("tensorflow", without=("keras.src", "scipy.sparse", "h5py"))
    with lean, contextlib.nullcontext() if verbose else last_words(_loading_crash()):
        tf = _import_tensorflow()
        import nst_utils  # noqa: F401 (with all that it imports)
        from nst.engine.determinism import make_deterministic
    if not verbose:
        logger = logging.getLogger("tensorflow")
        resources.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
    if count != limits.schedulable():  # as many as TensorFlow takes anyway
        with contextlib.suppress(RuntimeError):  # this process has computed: they are made
            tf.config.threading.set_intra_op_parallelism_threads(count)
            tf.config.threading.set_inter_op_parallelism_threads(count)
    as_before = tf.config.experimental.tensor_float_32_execution_enabled()
    resources.callback(tf.config.experimental.enable_tensor_float_32_execution, as_before)
    make_deterministic()


def _loading_crash() -> str:
    """The heading above what TensorFlow said last, if it ends the program while it is loaded."""
    reason = "this processor lacks AVX, which its packages need; " if limits.lacks_avx() else ""
    return (
        "nst_main.py: error: TensorFlow cannot be loaded, it ended the program; "
        f"{reason}see README, If something goes wrong. It said:"
    )


def _import_tensorflow() -> Any:
    """Return the module; raises ModuleNotFoundError without it, and TensorFlowError."""
    try:
        import tensorflow
    except Exception as error:  # of its many libraries, each may be of the wrong version
        if isinstance(error, ModuleNotFoundError) and error.name == "tensorflow":
            raise
        raise TensorFlowError(
            f"TensorFlow cannot be loaded: {cause(error)}; see README, If something goes wrong"
        ) from error
    return tensorflow
