"""Pictures and masks of other sizes; transparent pictures over white."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst.pictures.resize import over_white, resize, scaled_size, scaled_style_size


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.sampled_from(["picture", "float picture", "mask"]),
)
def test_resizing_stays_within_the_range(size, to, kind):
    random = np.random.default_rng(0)
    array = random.uniform(0, 255, (*size, 3)).astype(np.uint8 if kind == "picture" else np.float32)
    if kind == "mask":
        array = array[:, :, 0] / 255
    resized = resize(array, to)
    assert resized.shape == (*to, *array.shape[2:])
    assert resized.dtype == array.dtype
    assert resized.min() >= 0
    assert resized.max() <= (1 if kind == "mask" else 255)
    assert (resize(np.full_like(array, 1), to) == 1).all()


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.floats(1e-4, 3))
def test_a_scaled_size_keeps_its_aspect(height, width, factor):
    rows, columns = scaled_size((height, width), factor)
    for side, scaled in ((height, rows), (width, columns)):
        assert scaled >= 1
        assert scaled == 1 or abs(scaled - side * factor) <= 0.5 + 1e-9


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.integers(1, 9000),
    st.floats(0.01, 1),
)
def test_a_style_follows_the_scale_but_is_never_enlarged(size, asked, factor):
    scaled = scaled_style_size(size, asked, factor)
    assert max(scaled) <= max(size)
    if asked * factor <= max(size):
        assert abs(max(scaled) - asked * factor) <= 1
    else:
        assert scaled == size


def test_transparent_pixels_are_shown_on_white():
    image = Image.new("RGB", (3, 1), (100, 0, 200))
    opacity = Image.new("L", (3, 1))
    for column, level in enumerate((0, 255, 51)):
        opacity.putpixel((column, 0), level)
    shown = np.asarray(over_white(image, opacity))[0]
    assert shown.tolist() == [[255, 255, 255], [100, 0, 200], [224, 204, 244]]
    assert over_white(image, None) is image
