"""TensorFlow as ``tf``, imported without Keras, for modules that are the first to import it.

TensorFlow imports Keras, which fails where a variable or ``keras.json`` of the user names a backend
that is not there. Nothing here needs it. It can be imported later as ever.
"""

from nst.lean_import import lean_import

with lean_import("tensorflow", without=("keras.src",)):
    import tensorflow as tf

__all__ = ["tf"]
