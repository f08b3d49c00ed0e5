"""The program as it is sent to a node, which has neither its folder nor a shared disk."""

import json
import subprocess
import sys

import pytest

from helpers import ROOT
from nst.cluster import worker

ON_A_NODE = """
import importlib, json, os, sys, types
program = json.load(sys.stdin)
worker = types.ModuleType("worker")
source = program["nst.cluster.worker"].replace("from nst import ROOT", "")
exec(source, vars(worker))
sys.meta_path.insert(0, worker.Sources(program))
for name in program:
    module = importlib.import_module(name)
    assert not os.path.exists(module.__file__), module.__file__
import nst_utils
print(nst_utils.StyleCost(3))
"""


def test_the_program_is_sent_whole():
    program = worker.code()
    files = [ROOT / "nst_utils.py", *(ROOT / "nst").rglob("*.py")]
    assert sorted(program.values()) == sorted(path.read_text() for path in files)
    assert {"nst", "nst.engine", "nst.engine.objective", "nst.runs.run"} <= set(program)


@pytest.mark.program
def test_a_node_imports_the_program_from_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", "-c", ON_A_NODE],
        input=json.dumps(worker.code()),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "StyleCost(channels=3)" in done.stdout
