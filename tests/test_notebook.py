"""The notebook runs from top to bottom, in a kernel of its own."""

import base64
import io
import json
import re
import warnings
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from helpers import ROOT, pixels
from nst.presets import PRESETS
from nst.settings import Settings

NOTEBOOK = ROOT / "notebooks/Neural_Style_Transfer.ipynb"
# At a low rate, as JPEG rounds loud noise by more.
SMALL = {
    "image_size": "48",
    "epochs": "4",
    "print_every": "2",
    "preset": '"classic"',
    "learning_rate": "2.0",
}


def test_the_notebook_holds_no_outputs():
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_form_fields_are_settings_that_exist():
    source = "".join("".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"])
    values = dict(re.findall(r"^(\w+) = (.+?)  # @param", source, re.MULTILINE))
    defaults = {spec.name: spec.default for spec in fields(Settings)}
    for name in ("image_size", "epochs", "learning_rate", "alpha", "beta", "preserve_colors"):
        assert json.loads(values[name]) == defaults[name], name
    choices = re.search(r'preset = "fast"  # @param (\[.+\])', source)[1]
    assert json.loads(choices) == list(PRESETS)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the event loops of Jupyter
        import nbclient
        import nbformat

        notebook = nbformat.read(NOTEBOOK, as_version=4)
        for cell in notebook.cells:
            for name, value in SMALL.items():
                cell.source = re.sub(
                    rf"^{name} = \S+", f"{name} = {value}", cell.source, flags=re.MULTILINE
                )
            cell.source = cell.source.replace(
                'print_every": print_every,',
                f'print_every": print_every, "output_dir": {str(tmp_path)!r},',
            )
        where = {"metadata": {"path": str(NOTEBOOK.parent)}}
        nbclient.NotebookClient(notebook, timeout=300, resources=where).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert "TensorFlow 2" in text
    assert "VGG-19" in text
    assert f"run folder: {tmp_path}/temple__starlit_harbour" in text
    displayed = [output["data"] for output in outputs if "data" in output]
    assert any("4 of 4, J " in data.get("text/html", "") for data in displayed)
    previews = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))), float)
        for data in displayed
        if "image/jpeg" in data
    ]
    result = pixels(tmp_path / "temple__starlit_harbour/generated_image.png")
    full = [image for image in previews if image.shape == result.shape]
    assert any(np.abs(image - result).mean() < 8 for image in full)


CELLS = f"""
import os, signal, time, threading
before = signal.getsignal(signal.SIGINT)
%run {ROOT / "nst_main.py"} --epochs 2 --image_size 48 --print_every 1 --precision float32
----
assert signal.getsignal(signal.SIGINT) is before
%run {ROOT / "nst_main.py"} --epochs nonsense
----
import sys; sys.path.insert(0, {str(ROOT)!r})
import nst_main
print("code", nst_main.main(["--epochs", "2", "--image_size", "48", "--precision", "float32",
                             "--print_every", "1"]))
----
try:
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted as ever")
print(1 + 1)
""".split("----")


@pytest.mark.slow
def test_the_command_line_in_cells_leaves_the_kernel_alive(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nbclient
        import nbformat

        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS]
        where = {"metadata": {"path": str(tmp_path)}}
        nbclient.NotebookClient(notebook, timeout=300, resources=where, allow_errors=True).execute()
    outputs = [
        "".join(
            output.get("text", "") + output.get("evalue", "") for output in cell.get("outputs", [])
        )
        for cell in notebook.cells
    ]
    picture = "Picture   output/temple__starlit_harbour/generated_image.png"
    assert picture in outputs[0], outputs
    assert "--epochs: must be a whole number" in outputs[1]
    assert f"{picture} (finished earlier" in outputs[2]
    assert "code 0" in outputs[2]
    assert outputs[3] == "interrupted as ever\n2\n"
