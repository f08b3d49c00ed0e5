"""Eager execution, which evaluates what is called when it is called: this program needs it."""

import tensorflow as tf

from nst.errors import TensorFlowError


def check_eager() -> None:
    """Raise TensorFlowError where TensorFlow 1's way of graphs is switched on."""
    if not tf.executing_eagerly():
        raise TensorFlowError(
            "TensorFlow's eager execution is switched off "
            "(tf.compat.v1.disable_eager_execution, or inside of a tf.Graph), and pictures are "
            "made with it; call this outside of that, or in a process of its own"
        )
