"""The same bits on every run: switches of TensorFlow, for the whole process."""

from nst.engine.tensorflow_alone import tf


def make_deterministic() -> None:
    """Let TensorFlow take only operations that give the same bits on every run, on GPUs too.

    On processors the operations used here do so anyway. And float32 is float32 on GPUs, too: with
    TensorFloat-32 the products of L-BFGS would have ten bits. The switches are for the whole
    process, so the command line sets them and a program that uses the method decides for itself.
    """
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
