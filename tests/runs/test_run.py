"""What is told of a run before it begins."""

import pytest

from nst.engine.budget import ScaleForecast
from nst.engine.tiling import WHOLE, Tiling
from nst.runs.run import describe_forecasts
from nst.settings import Settings

TILED = Tiling((("pool2", 128), (None, None)))


def forecast(tiling=WHOLE, size=(600, 800), tiles=(1,), halo=0):
    return ScaleForecast(tiling, size, tiles, halo, memory=1.25e9, operations=7e9)


@pytest.mark.parametrize(("rate", "advice"), [(1e10, False), (1e8, True)])
def test_a_picture_as_a_whole(rate, advice):
    text = "\n".join(describe_forecasts([forecast()], Settings(epochs=10), rate))
    assert "Plan      the whole picture at once" in text
    assert "Memory    up to about 1.2G" in text
    assert "Scales" not in text
    assert "for 10 epochs" in text
    assert ("smaller --image_size" in text) == advice  # a long run


def test_scales_and_tiles():
    coarse = forecast(size=(300, 400))
    fine = forecast(TILED, tiles=(35, 1), halo=16)
    text = "\n".join(describe_forecasts([coarse, fine], Settings(epochs=10, scales=2), 1e12))
    assert "Scales    400 x 300, 800 x 600, up to iterations 6, 10" in text
    assert "Plan      35 + 1 tiles, the first with a halo of 16 pixels" in text
