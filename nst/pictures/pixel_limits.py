"""How large pictures are read."""

# Decoding takes 4 to 25 bytes a pixel, depending on the format: 0.5 to 3.2 GB at this limit.
MAX_PIXELS = 128_000_000
MAX_SIDE = 1_000_000  # decoders allocate some memory for each row
# Of files that are decoded at a fraction of their size, which has to be below the other limit.
MAX_REDUCED_PIXELS = 1_000_000_000
MAX_PROGRESSIVE_PIXELS = 400_000_000  # of JPEG: the decoder keeps coefficients, 6 bytes a pixel
MAX_RLE_PIXELS = 32_000_000  # of compressed BMP, which Pillow decodes byte by byte
