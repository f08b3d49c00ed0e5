"""Lay the mosaic of the sun, tile by tile."""

import numpy as np
from scipy import ndimage, spatial

from canvas import coordinates, mix, noise, palette, ramp, relief, smoothstep


def lay_tiles(rows, design, tile, rng):
    """Set tesserae `tile` pixels wide along the contours of `rows` (h, w), a distance in pixels.

    Each takes its colour from `design` (h, w, 3) and leans its own way in the light; the yellow
    ones are gilt and glint. Returns the picture (h, w, 3).
    """
    height, width = rows.shape
    dy, dx = np.gradient(ndimage.gaussian_filter(rows, 0.1 * tile))
    slope = np.stack([dx, dy], axis=-1) / (np.hypot(dx, dy)[..., None] + 1e-6)

    def sample(array, points):
        column, row = np.clip(points, 0, (width - 1, height - 1)).astype(int).T
        return array[row, column]

    # Scatter, pull onto the middle of the nearest row, then thin out to one seed a tile.
    count = int(12 * width * height / tile**2)
    seeds = rng.uniform(-tile, (width + tile, height + tile), (count, 2))
    for _ in range(2):
        seeds -= (sample(rows, seeds) % tile - tile / 2)[:, None] * sample(slope, seeds)
    kept = np.ones(count, bool)
    for i, near in enumerate(spatial.cKDTree(seeds).query_ball_point(seeds, 0.93 * tile)):
        if kept[i]:
            kept[near] = False
            kept[i] = True
    seeds = seeds[kept]
    count = len(seeds)

    def assign(points):
        """The tile that owns each point (n, 2) and the point's distance to the tile's border."""
        across = sample(slope, seeds)
        _, choice = spatial.cKDTree(seeds).query(points, k=6, workers=2)
        offset = points[:, None] - seeds[choice]
        v = np.abs((offset * across[choice]).sum(-1))
        u = np.abs((offset * across[choice][..., ::-1] * (1, -1)).sum(-1))
        measure = np.maximum(0.9 * u, v)  # a square metric makes square tiles
        order = np.argsort(measure, axis=1)[:, :2]
        best, second = np.take_along_axis(measure, order, axis=1).T
        owner = np.take_along_axis(choice, order[:, :1], axis=1)[:, 0]
        return owner, np.minimum((second - best) / 2, 0.8 * tile - best)

    # Slide the seeds along their rows to the middle of their tiles, which evens the spacing.
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    coarse = grid[:: max(1, int(tile // 5)), :: max(1, int(tile // 5))].reshape(-1, 2)
    for _ in range(3):
        owner, _ = assign(coarse)
        total = np.stack([np.bincount(owner, c, count) for c in coarse.T], axis=-1)
        pixels = np.bincount(owner, minlength=count)[:, None]
        move = np.where(pixels > 0, total / np.maximum(pixels, 1) - seeds, 0)
        along = sample(slope, seeds)[:, ::-1] * (1, -1)
        seeds = seeds + (move * along).sum(-1, keepdims=True) * along
    parts = zip(*map(assign, np.array_split(grid.reshape(-1, 2), 16)))  # in parts, for memory
    owner, border = (np.concatenate(part).reshape(height, width) for part in parts)

    colour = sample(design, seeds)
    gilt = (colour[:, 0] > 0.8) & (colour[:, 1] > 0.55)
    leaf = ramp(rng.random(count), palette("b8740f eaa51e ffcb3d ffe07a"))
    colour[gilt] = 0.5 * colour[gilt] + 0.5 * leaf[gilt]
    colour = colour * (1 + 0.16 * rng.standard_normal((count, 1)))
    colour += 0.035 * rng.standard_normal((count, 3))
    lean = 0.5 * rng.standard_normal((count, 2))
    offset = (grid - seeds[owner]) / tile
    shade = 1 + 0.35 * (offset * lean[owner]).sum(-1) + 0.10 * lean.sum(-1)[owner]
    shade += 0.05 * noise(rng, rows.shape, tile / 3)
    face = colour[owner] * shade[..., None]
    spot = smoothstep(0.9, 0.1, np.linalg.norm(offset - 0.15, axis=-1))
    glint = gilt * smoothstep(0.2, 1.2, lean.sum(-1))
    face = mix(face, palette("fff6cf")[0], 0.75 * glint[owner] * spot)
    unit = tile / 14
    dome = ndimage.gaussian_filter(smoothstep(0, 4.5 * unit, border) * 3, 0.5 * unit)
    grout = palette("241a24") * (1 + 0.18 * noise(rng, rows.shape, 3 * unit, 2))[..., None]
    face *= relief(dome, 0.22 * unit)[..., None]
    return mix(grout, face, smoothstep(0.6 * unit, 1.7 * unit, border))


def mosaic_sun(size, rng):
    """Mosaic: rows of tesserae and gold round a flaming sun, set among peacock feathers."""
    x, y = coordinates(size)
    shape, tile = x.shape, 14 * size / 1200
    cx, cy, scale = 2 / 3, 0.5, 0.128
    r, angle = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    rows, design = r * shape[0], np.zeros((*shape, 3))
    # Feathers overlap like scales, the inner rings upon the outer; each bears an eye.
    plume = palette("ffc531 12868c 1fb5a4 7fd6b0 0f7f86 0d4f73 142a7a")
    pupil = palette("e8203a d81a34 1b1464 2c50d0 14b0b8")
    for ring, radius in enumerate(np.arange(0.98, 0.36, -0.112)):
        count = round(2 * np.pi * radius / 0.205)
        for turn in 2 * np.pi * (np.arange(count) + 0.5 * (ring % 2)) / count:
            out = np.array([np.cos(turn), np.sin(turn)])
            dx, dy = x - cx - radius * out[0], y - cy - radius * out[1]
            d = np.hypot(dx, dy) / scale
            mine = d < 1
            eye = np.hypot(dx - 0.045 * out[0], dy - 0.045 * out[1])[mine] / (0.58 * scale)
            barbs = 0.12 * np.sin(22 * np.arctan2(dy, dx)[mine])
            look = ramp((1 - d[mine]) * 1.1 + barbs * (d[mine] < 0.88), plume)
            look[d[mine] > 0.88] = plume[0]
            look[eye < 1] = ramp(eye, pupil)[eye < 1]
            design[mine], rows[mine] = look, d[mine] * scale * shape[0]
    # Flames sway with the radius; between them lies a ground of lapis strewn with gold.
    sway = (angle + 0.16 * np.sin(16 * r + 0.5)) * 18 / (2 * np.pi)
    off = np.abs(sway - np.round(sway)) * 2
    flame = smoothstep(0.39, 0.17, r) ** 0.8 - off
    steep = np.hypot(1, r * 0.16 * 16 * np.cos(16 * r + 0.5))
    strips = off * r * np.pi / 18 * shape[0] / steep
    ground = palette("10207c 1c3fb4")[(strips // tile).astype(int) % 2]
    ground[rng.random(shape) < 0.02] = plume[0]
    heat = ramp(flame * 1.4, palette("8f0f1f d1202a ee6a1e ffc531 ffe98a"))
    fire = np.where((flame > 0)[..., None], heat, ground)
    sun, hoop, disc = r < 0.40, np.abs(r - 0.405) < 0.0155, r < 0.187
    design[sun], rows[sun] = fire[sun], strips[sun]
    design[hoop] = palette("ffc531")
    bands = palette("fff0a8 ffc531 e8701c b0122a b0122a b0122a ffc531 1746b0 12a5a5 ffc531")
    face = bands[(r / 0.187 * 9.99).astype(int).clip(0, 9)]
    reach = 0.40 - 1.7 * np.abs(r / 0.187 - 0.47)
    face[np.abs((angle * 12 / (2 * np.pi)) % 1 - 0.5) < reach] = palette("ffb02a")
    design[disc] = face[disc]
    rows[disc | hoop] = (r * shape[0])[disc | hoop]
    return lay_tiles(rows, design, tile, rng)
