"""Repaint one picture in the style of another: the command line.

Parses the options, then runs one command from its plan to its exit code (``run_command``). The
method is in ``nst_utils``.
"""

import signal
import sys

from nst.cli.process import leave, owns_process

# Else the process belongs to a notebook, a debugger or another program.
OWN_PROCESS = __name__ == "__main__" and owns_process(sys._getframe())
if OWN_PROCESS and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback before there is anything to save

import contextlib
import os
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nst.cli import loading
from nst.cli.parser import COMMAND_OPTIONS, build_parser
from nst.cli.stopping import Stopping
from nst.cli.streams import usable_streams
from nst.errors import ExitCode, NSTError, UsageError
from nst.runs.rerun import EarlierRun, read_run
from nst.settings import Settings
from nst.silence import silent_stderr
from nst.text import red
from nst.vgg.layers import NETWORKS

if TYPE_CHECKING:  # they take long to import: a wrong flag is answered at once
    from nst.engine.devices import Device
    from nst.engine.evaluation import Evaluation
    from nst.engine.step import Step
    from nst.runs.batch import Batch, Task
    from nst.runs.folder import RunFolder
    from nst.runs.job import Job
    from nst.runs.progress import Listeners
    from nst.runs.session import Session


def main(arguments: list[str] | None = None, own_process: bool = False) -> int:
    """Run the command line and return its exit code.


    It may be called in any thread, and leaves signals, streams and loggers as they were.
    own_process: whether a second signal may end the process at once.
    """
    with usable_streams(), contextlib.ExitStack() as resources:
        for name in CHANGED_VARIABLES:
            resources.callback(_set_variable, name, os.environ.get(name))
        parser = build_parser()
        try:
            given = vars(parser.parse_args(arguments))
            options = {name: given.pop(name) for name in COMMAND_OPTIONS}
            try:
                earlier = read_run(options["from_run"]) if options["from_run"] else None
                settings = earlier.settings(given) if earlier else Settings(**given)
                if options["quiet"] and options["live"] is None:
                    raise UsageError("live: give a port, as --quiet does not tell which one it is")
                if options["live_host"] and options["live"] is False:
                    raise UsageError("live_host: is where --live listens; give --live, too")
                if options["quiet"] and options["live_host"]:
                    raise UsageError(
                        "live_host: its address has a secret, which --quiet does not tell"
                    )
            except UsageError as error:
                parser.error(str(error))
        except SystemExit as end:  # of --help, --version, and for wrong usage
            return ExitCode(int(end.code or 0))
        return _carry_out(settings, given, earlier, options, own_process, resources)


CHANGED_VARIABLES = ("OPENBLAS_NUM_THREADS", "TF_CPP_MIN_LOG_LEVEL")  # of the environment


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _carry_out(
    settings: Settings,
    given: dict[str, Any],
    earlier: EarlierRun | None,
    options: dict[str, Any],
    own_process: bool,
    resources: contextlib.ExitStack,
) -> int:
    """Run a command whose options are known, and return its exit code.

    resources: what is to be undone at the end.
    """
    progress = None
    stopping = resources.enter_context(Stopping(own_process))
    try:
        loading.limit_numpy(settings.threads)
        from nst.runs.progress import Listeners

        progress = Listeners()
        _add_listeners(progress, settings, options, stopping, resources)
        command = Command(
            settings=settings,
            given=given,
            earlier=earlier,
            quiet=options["quiet"],
            verbose=options["verbose"],
            progress=progress,
            stopping=stopping,
            resources=resources,
        )
        return run_command(command)
    except BaseException as error:
        message, code = _refusal(error, stopping)
    if progress:
        progress.fail(message, code)
    else:
        print(red(f"nst_main.py: error: {message}", sys.stderr), file=sys.stderr)
    return code


def _add_listeners(
    progress: "Listeners",
    settings: Settings,
    options: dict[str, Any],
    stopping: Stopping,
    resources: contextlib.ExitStack,
) -> None:
    """Choose who is told of the progress: the terminal, a JSON log, the live page."""
    from nst.cli.console import Console

    console = Console(settings, options["quiet"], results=not options["log_json"])
    progress.add(console)
    if options["log_json"]:
        from nst.cli.json_log import JSONLog

        progress.add(JSONLog(settings, console.say))
    if options["live"] is not False and not settings.dry_run:
        from nst.cli.live import Live

        live = Live(options["live"], stopping.ask, settings, options["live_host"])
        resources.callback(live.close)
        progress.add(live)
        progress.live(live.url, live.address.note)


def _refusal(error: BaseException, stopping: Stopping) -> tuple[str, ExitCode]:
    """The message and the exit code of whatever ends a command early."""
    if isinstance(error, NSTError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        return "not enough memory; use a smaller --image_size", ExitCode.MEMORY
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "the limit of threads is reached (ulimit -u); raise it", ExitCode.MEMORY
    if isinstance(error, ModuleNotFoundError):
        message = f"package {error.name} is missing: pip install -r requirements.txt"
        return message, ExitCode.USAGE
    # Code in C that a signal falls into may raise anything in place of KeyboardInterrupt.
    if stopping.requested is None:
        traceback.print_exception(error)
        return "this is a bug in this program; please report the lines above", ExitCode.BUG
    if stopping.requested == signal.SIGINT:
        return "interrupted", ExitCode.INTERRUPTED
    return "terminated", ExitCode.TERMINATED


@dataclass(frozen=True)
class Command:
    """One call of the program.

    given: the settings that were given as options. earlier: the run of ``--from_run``.
    """

    settings: Settings
    given: dict[str, Any]
    earlier: EarlierRun | None
    quiet: bool
    verbose: bool
    progress: "Listeners"
    stopping: Stopping
    resources: contextlib.ExitStack  # what is to be undone at the end

    @property
    def evaluation(self) -> "Evaluation | None":
        """Dtype and tilings of the earlier run, where its very picture is made again."""
        same = self.earlier and self.earlier.unchanged(self.given)
        return self.earlier.evaluation if self.earlier and same else None


def run_command(command: Command) -> ExitCode:
    """Run a command, step by step from its plan to its exit code; raises NSTError."""
    from nst.cli.gallery_updater import GalleryUpdater
    from nst.runs import batch as batches
    from nst.runs.job import read_job
    from nst.vgg import weights

    check_earlier_run(command)
    batch = batches.plan_batch(command.settings)
    command.progress.plan(batch)
    job = None if batch.several else read_job(batch.single_settings())
    weights.check(command.settings.model_path)
    load_tensorflow(command)
    device = find_device(command)
    session = find_weights(command, batch, device)
    if command.settings.dry_run:
        return forecast_pictures(command, batch, job, session)
    gallery = GalleryUpdater(batch, command.progress.say)
    command.progress.add(gallery)
    try:
        make_pictures(command, batch, job, session)
    except BaseException:
        with contextlib.suppress(OSError, NSTError):  # the first error is the one to report
            gallery.write()
        raise
    command.progress.summary(batch, gallery.outcomes, gallery.write())
    failed = any(outcome.error for outcome in gallery.outcomes)
    return batches.exit_code(batch, failed)


def check_earlier_run(command: Command) -> None:
    """Refuse pictures that are not those of the run that is made again; name other versions."""
    if command.earlier:
        from nst.runs import manifest

        command.earlier.check(command.given)
        if command.earlier.versions != manifest.versions():
            path = command.earlier.path
            command.progress.say(f"{path}: of other versions: the picture may differ a little.")


def load_tensorflow(command: Command) -> None:
    """Import the method; raises MemoryLimitError if it would not fit, and TensorFlowError."""
    threads, say = command.settings.threads, command.progress.say
    loading.load_tensorflow(threads, command.verbose, say, command.resources)


def find_device(command: Command) -> "Device":
    """Find the device that evaluates here; the workers of a cluster look for their own."""
    from nst.engine import devices

    word = command.settings.device
    if command.settings.cluster and word != "cpu":
        word = "auto"  # this machine need not have what the workers have
    with contextlib.nullcontext() if command.verbose else silent_stderr():
        return devices.find_device(word, alone=True)


def find_weights(command: Command, batch: "Batch", device: "Device") -> "Session":
    """Open the session of the weights on a device, those of the earlier run if it is made again."""
    from nst.runs.session import open_session
    from nst.vgg import weights

    say = None if command.quiet else command.progress.say
    model_path, earlier = command.settings.model_path, command.earlier
    if earlier and not {"model_path", "network"} & set(command.given):
        file = weights.find_again(
            model_path, command.settings.network, earlier.weights, earlier.path, say
        )
    else:
        file = weights.find(model_path, command.settings.network, say)
    session = open_session(file, device)
    network = command.settings.network
    both_given = {"network", "model_path"} <= set(command.given)
    if both_given and session.weights.network != NETWORKS[network]:
        raise UsageError(
            f"network: {network}, but {model_path} holds {session.weights.network}; drop one of "
            "--network and --model_path"
        )
    if batch.several:
        for line in session.describe(command.settings):
            command.progress.say(line)
    return session


def forecast_pictures(
    command: Command, batch: "Batch", job: "Job | None", session: "Session"
) -> ExitCode:
    """Forecast what would be made, and make nothing."""
    from nst.runs import batch as batches
    from nst.runs.run import run_job

    progress = command.progress
    if command.settings.cluster:
        progress.say("          the forecast is for this machine, not for the cluster")
    if job:
        folder = run_job(job, session, say=progress.say)
        if folder.finished:
            progress.end(batches.outcome_of(batch.tasks[0], folder))
    forecast = batches.forecast_batch(batch, session)
    progress.forecast(batch, forecast)
    return batches.exit_code(batch, bool(forecast.refusals))


def make_pictures(command: Command, batch: "Batch", job: "Job | None", session: "Session") -> None:
    """Make every picture, here or on a cluster. job: of a single picture, already read."""
    from nst.runs import batch as batches

    if command.settings.cluster:
        make_on_cluster(command, batch, job, session)
    elif job:
        make_picture(command, batch, batch.tasks[0], job, session)
    else:
        done, say = command.progress.end, command.progress.say
        for task, task_job in batches.pending(batch, session.file, done, say):
            command.stopping.check()
            make_picture(command, batch, task, task_job, session)


def make_picture(
    command: Command, batch: "Batch", task: "Task", job: "Job", session: "Session"
) -> None:
    """Make one picture on this machine."""
    from nst.runs import batch as batches
    from nst.runs.run import run_job

    progress, stopping = command.progress, command.stopping

    def on_start(folder: "RunFolder") -> None:
        stopping.gently = True
        progress.start(task, folder)

    def on_step(step: "Step") -> None:
        progress.step(task, step)
        if not step.is_last:
            stopping.check()

    def make() -> "RunFolder":
        try:
            return run_job(
                job,
                session,
                say=progress.say,
                on_start=on_start,
                on_step=on_step,
                brief=batch.several,
                earlier=command.evaluation,
            )
        finally:
            stopping.gently = False

    batches.attempt(task, make, batch, progress.end)


def make_on_cluster(
    command: Command, batch: "Batch", job: "Job | None", session: "Session"
) -> None:
    """Make every picture on a cluster; the tiles of a single one are spread over it."""
    from nst.cluster.connection import Cluster
    from nst.cluster.driver import Driver
    from nst.cluster.tiles import tile_session
    from nst.runs.run import forecast_run

    progress, stopping = command.progress, command.stopping
    assert command.settings.cluster is not None
    address, device = command.settings.cluster, command.settings.device
    with Cluster(address, progress.say, device) as cluster:
        if job and forecast_run(job, session).is_tiled:
            make_picture(command, batch, batch.tasks[0], job, tile_session(cluster, session))
            return
        stopping.gently = True
        try:
            driver = Driver(cluster, batch, session.weights, progress, command.evaluation)
            driver.carry_out(lambda: stopping.requested is not None)
        finally:
            stopping.gently = False


if __name__ == "__main__":
    if OWN_PROCESS:
        leave(main(own_process=True))
    sys.exit(main())
