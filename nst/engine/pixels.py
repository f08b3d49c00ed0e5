"""The values of an image that is optimised."""

LOW, HIGH = 0.0, 255.0
IMAGE_BYTES = 12  # a pixel of an image or gradient, three float32
