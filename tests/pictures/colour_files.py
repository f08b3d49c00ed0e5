"""Files with colours told in every way, written by hand: PNG of any kind, ICC profiles, boxes."""

import struct
import zlib

import numpy as np

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of the colour types of PNG
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
ADAM7 += ((1, 0, 2, 1),)  # first row, first column, steps


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples, depth, colour_type, *chunks, interlaced=False, filters=(0,)):
    """The bytes of a PNG. samples: (H, W, channels) integers; filters: of the rows, in turn."""
    height, width, _ = samples.shape
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    passes = [samples]
    if interlaced:
        passes = [samples[row::down, column::right] for row, column, down, right in ADAM7]
    data = b"".join(_filtered(part, depth, filters) for part in passes if part.size)
    body = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks) + body


def _filtered(samples, depth, filters):
    """The rows of a pass, packed and filtered."""
    bits = samples[..., np.newaxis].astype(np.int64) >> np.arange(depth - 1, -1, -1) & 1
    rows = np.packbits(bits.reshape(len(samples), -1).astype(np.uint8), axis=1).astype(int)
    step = max(1, depth * samples.shape[2] // 8)
    previous, out = np.zeros(rows.shape[1], int), b""
    for index, row in enumerate(rows):
        kind = filters[index % len(filters)]
        left = np.concatenate([np.zeros(step, int), row])[: len(row)]
        corner = np.concatenate([np.zeros(step, int), previous])[: len(row)]
        paeth = left + previous - corner
        distances = np.abs([paeth - left, paeth - previous, paeth - corner])
        nearest = np.choose(distances.argmin(axis=0), [left, previous, corner])
        guess = (0, left, previous, (left + previous) // 2, nearest)[kind]
        out += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        previous = row
    return out


def gama(gamma):
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(white, *colours):
    numbers = [round(value * 100_000) for pair in (white, *colours) for value in pair]
    return chunk(b"cHRM", struct.pack(">8I", *numbers))


def cicp(primaries, transfer, matrix=0, full=1):
    return chunk(b"cICP", bytes((primaries, transfer, matrix, full)))


def iccp(profile):
    return chunk(b"iCCP", b"name\0\0" + zlib.compress(profile))


def curve(gamma):
    """An ICC curve that is a power."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def xyz(*values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def icc(space, tags, kind=b"mntr", connection=b"XYZ ", version=0x02100000, intent=0):
    """The bytes of an ICC profile. tags: {name: data}."""
    tags = {b"wtpt": xyz(0.9642, 1, 0.8249), b"cprt": b"text\0\0\0\0none\0", **tags}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    if version >= 0x04000000:
        text = "test".encode("utf-16-be")
        words = (
            b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
        )
        tags[b"desc"] = tags[b"cprt"] = words
    start, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", version, kind, space, connection)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(24)
    head += struct.pack(">I3i", intent, 63190, 65536, 54061)  # the white of D50
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def matrix_profile(matrix, gamma, **options):
    """An RGB profile. matrix: (3, 3), light to XYZ under D50."""
    tags = {name + b"XYZ": xyz(*column) for name, column in zip((b"r", b"g", b"b"), matrix.T)}
    return icc(b"RGB ", tags | {n + b"TRC": curve(gamma) for n in (b"r", b"g", b"b")}, **options)


def grey_profile(gamma, **options):
    return icc(b"GRAY", {b"kTRC": curve(gamma)}, **options)


def lut_profile(space, colours, **options):
    """A profile with a table. colours: (2, ..., 2, 3) Lab of the corners of its cube."""
    inputs = colours.ndim - 1
    ramp = struct.pack(">2H", 0, 65535)
    scaled = colours * (652.8, 256, 256) + (0, 32768, 32768)  # Lab of ICC 2 in 16 bits
    table = np.clip(np.rint(scaled), 0, 65535).astype(">u2").tobytes()
    head = b"mft2\0\0\0\0" + bytes((inputs, 3, 2, 0))
    head += struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9))) + struct.pack(">2H", 2, 2)
    data = head + ramp * inputs + table + ramp * 3
    return icc(space, {b"A2B0": data, b"A2B1": data}, connection=b"Lab ", **options)


def box(name, *parts):
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), name) + data
