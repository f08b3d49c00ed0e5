"""The code behind ``nst_main.py`` and ``nst_utils.py``, one folder for each responsibility.

    errors, text, files   exit codes; texts for users; whole files or none
    silence, lean_import  quiet libraries; fast imports
    control_groups, limits   memory, processors and threads that the job may use
    vgg/          layers, weight files and their readers
    options       every option: default, range, help (beside it style_losses, presets, parsers)
    settings      the values of one run (beside it command_line, output_names)
    layout        names of the files of a run folder
    pictures/     picture files in and out
    engine/       cost and gradient of a picture of any size, and what moves it
    nst_utils.py  THE METHOD          pages/  report, gallery, plot, animation
    runs/         one job or many: a run folder for each, resumed after a stop
    api, cluster/, cli/   use from Python; several machines; what the user sees
    nst_main.py   options -> Settings -> one command from its plan to its exit code

Each line may import from the lines above it, never from below (tests/test_layers.py); but
``nst_utils`` offers ``nst.api.NeuralStyleTransfer`` to users.
"""

from pathlib import Path

__version__ = "0.9.1"  # moves with every change of pictures: see CHANGELOG.md
ROOT = Path(__file__).resolve().parent.parent  # the folder of nst_main.py
