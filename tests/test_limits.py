"""The limits of a job: made-up /proc and /sys trees, and real limits where they can be set."""

import json
import resource
import sys
from functools import partial
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import QUICK, next_event, save_small
from nst import limits
from nst.engine import budget
from nst.errors import MemoryLimitError

FREE = 60 * 10**9  # bytes that the machine is said to have free
V1 = "32 31 0:29 {root} /sys/fs/cgroup/{name} rw,relatime - cgroup cgroup rw,{name}"
V2 = "31 23 0:28 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
HYBRID = "38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
# One column of /proc/self/limits is as wide as the kernel makes it.
LIMIT = "{:<25} {:<20} {:<20} {:<10}"


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of a known size, with 16 processors."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=FREE))
    monkeypatch.setattr(limits, "schedulable", lambda: 16)


def write(root, files):
    """Write {path: content} below a folder, and return the folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def of_process(cgroup="0::/", mountinfo="", status=(), resources=(), pid=77):
    """What the kernel tells of this process.

    status: {name: value}. resources: {line of /proc/self/limits: soft limit}.
    """
    about = {"Uid": "1000\t1000\t1000\t1000", "Threads": "2", "VmSize": "200000 kB"} | dict(status)
    table = "\n".join(f"{name}:\t{value}" for name, value in about.items())
    rows = [("Limit", "Soft Limit", "Hard Limit", "Units")]
    rows += [(name, soft, "unlimited", "bytes") for name, soft in dict(resources).items()]
    return {
        "proc/self/cgroup": cgroup,
        "proc/self/mountinfo": f"23 1 8:1 / / rw - ext4 /dev/sda rw\n{mountinfo}",
        "proc/self/status": table,
        f"proc/{pid}/status": table,
        "proc/self/limits": "\n".join(LIMIT.format(*row) for row in rows),
    }


def v2_memory(folder, limit, current, inactive_file=0):
    return {
        f"{folder}/memory.max": limit,
        f"{folder}/memory.current": current,
        f"{folder}/memory.stat": f"anon 5\nfile 9\ninactive_file {inactive_file}",
    }


def v1_memory(folder, limit, usage, inactive_file=0):
    return {
        f"{folder}/memory.limit_in_bytes": limit,
        f"{folder}/memory.usage_in_bytes": usage,
        f"{folder}/memory.stat": f"inactive_file 1\ntotal_inactive_file {inactive_file}",
    }


def test_the_page_cache_of_a_container_is_free(tmp_path):  # C03
    files = v2_memory("sys/fs/cgroup", 4294967296, 4200000000, 3900000000)
    write(tmp_path, of_process("0::/", V2.format(root="/")) | files)
    assert limits.free_memory(tmp_path) == 4294967296 - 4200000000 + 3900000000


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "files"),
    [
        (  # systemd: the scope itself has the limit
            "0::/user.slice/nst.scope",
            V2.format(root="/"),
            v2_memory("sys/fs/cgroup/user.slice/nst.scope", 2 * 10**9, 10**9),
        ),
        (  # Slurm with version 2: a group above has it
            "0::/system.slice/slurmstepd.scope/job_7/step_0/user/task_0",
            V2.format(root="/"),
            v2_memory("sys/fs/cgroup/system.slice/slurmstepd.scope/job_7", 2 * 10**9, 10**9)
            | v2_memory("sys/fs/cgroup/system.slice/slurmstepd.scope/job_7/step_0", "max", 10**8),
        ),
        (  # memory.high stops a process as well as memory.max does
            "0::/a",
            V2.format(root="/"),
            v2_memory("sys/fs/cgroup/a", "max", 10**9) | {"sys/fs/cgroup/a/memory.high": 2 * 10**9},
        ),
        (  # Slurm with version 1, beside hierarchies of other controllers
            "9:cpuset:/slurm\n4:memory:/slurm/uid_0/job_7/step_0\n1:name=systemd:/\n0::/",
            "\n".join([V1.format(root="/", name="cpuset"), V1.format(root="/", name="memory")]),
            v1_memory("sys/fs/cgroup/memory/slurm/uid_0/job_7", 2 * 10**9, 10**9)
            | v1_memory("sys/fs/cgroup/memory/slurm/uid_0/job_7/step_0", 2**63 - 4096, 10**8)
            | v1_memory("sys/fs/cgroup/memory", 2**63 - 4096, 10**10),
        ),
        (  # Docker with version 1: the container sees its own group at the mount point
            "4:memory:/docker/c0ffee\n0::/",
            "\n".join([V1.format(root="/docker/c0ffee", name="memory"), HYBRID]),
            v1_memory("sys/fs/cgroup/memory", 2 * 10**9, 10**9),
        ),
        (  # a path from the host, of which the mount knows nothing
            "0::/kubepods/pod1/c1",
            V2.format(root="/kubepods/pod2"),
            v2_memory("sys/fs/cgroup", 2 * 10**9, 10**9),
        ),
        (  # a group outside the namespace
            "0::/../other",
            V2.format(root="/"),
            v2_memory("sys/fs/cgroup", 2 * 10**9, 10**9),
        ),
    ],
)
def test_a_group_is_found_wherever_it_is(tmp_path, cgroup, mountinfo, files):  # C04
    write(tmp_path, of_process(cgroup, mountinfo) | files)
    assert limits.free_memory(tmp_path) == 10**9


def test_a_mount_point_may_have_a_space_in_it(tmp_path):
    mountinfo = r"31 23 0:28 / /my\040groups rw - cgroup2 cgroup2 rw"
    write(tmp_path, of_process("0::/a", mountinfo) | v2_memory("my groups/a", 500, 200))
    assert limits.free_memory(tmp_path) == 300


@pytest.mark.parametrize("files", [{}, of_process(), of_process("0::/a", V2.format(root="/"))])
def test_without_limits_the_machine_counts(tmp_path, files):
    write(tmp_path, files)
    assert limits.memory_limit(tmp_path) is None
    assert limits.free_memory(tmp_path) == FREE
    assert limits.processors(tmp_path) == 16
    assert limits.choose_threads(None, tmp_path) == 16
    limits.check_loading(16, tmp_path)


AMOUNT = st.integers(0, 2 * FREE)
LEVELS = st.lists(st.tuples(st.none() | AMOUNT, AMOUNT, AMOUNT), max_size=6)


@given(LEVELS, st.booleans())
def test_the_tightest_of_nested_groups_counts(tmp_path_factory, levels, version_2):
    files, path, left = {}, "", [FREE]
    top = "sys/fs/cgroup" if version_2 else "sys/fs/cgroup/memory"
    for limit, taken, cached in levels:
        path += "/group"
        if version_2:
            files |= v2_memory(top + path, "max" if limit is None else limit, taken, cached)
        else:
            files |= v1_memory(top + path, 2**63 - 4096 if limit is None else limit, taken, cached)
        if limit is not None:
            left.append(limit - max(0, taken - cached))
    of_version = (
        (f"0::{path or '/'}", V2.format(root="/"))
        if version_2
        else (f"4:memory:{path or '/'}\n0::/", V1.format(root="/", name="memory"))
    )
    root = write(tmp_path_factory.mktemp("root"), of_process(*of_version) | files)
    assert limits.free_memory(root) == max(0, min(left))


@pytest.mark.parametrize(
    ("line", "counts", "name"),
    [("Max address space", "VmSize", "ulimit -v"), ("Max data size", "VmData", "ulimit -d")],
)
def test_a_resource_limit_counts_what_the_process_has(tmp_path, line, counts, name):
    status = {"VmSize": "1 kB", counts: "1000000 kB"}
    write(tmp_path, of_process(status=status, resources={line: 8 * 10**9}))
    limit = limits.memory_limit(tmp_path)
    assert limit.name == name
    assert limit.unused == 8 * 10**9 - 1024 * 10**6
    assert 0 < limit.left < limit.unused
    assert f"raise {name} to " in limit.advice(10**9)


@given(
    st.lists(st.none() | st.tuples(st.integers(1_000, 10**7), st.integers(1_000, 10**6))),
    st.booleans(),
)
def test_a_quota_is_rounded_up_to_processors(tmp_path_factory, quotas, version_2):  # C35
    files, path, most = {}, "", 16
    for quota in quotas:
        path += "/g"
        if version_2:
            text = "max 100000" if quota is None else f"{quota[0]} {quota[1]}"
            files[f"sys/fs/cgroup{path}/cpu.max"] = text
        else:
            folder = f"sys/fs/cgroup/cpu,cpuacct{path}"
            files[f"{folder}/cpu.cfs_quota_us"] = quota[0] if quota else -1
            files[f"{folder}/cpu.cfs_period_us"] = quota[1] if quota else 100_000
        if quota:
            most = min(most, -(-quota[0] // quota[1]))
    of_version = (
        (f"0::{path or '/'}", V2.format(root="/"))
        if version_2
        else (f"1:cpu,cpuacct:{path or '/'}", V1.format(root="/", name="cpu,cpuacct"))
    )
    root = write(tmp_path_factory.mktemp("root"), of_process(*of_version) | files)
    assert limits.processors(root) == most
    assert limits.choose_threads(None, root) == most
    assert limits.choose_threads(5, root) == 5


@pytest.mark.parametrize("is_group", [False, True])
def test_a_limit_of_threads_makes_them_fewer_or_is_refused(tmp_path, is_group):
    def root(limit, others):
        """A tree with a limit; others: threads that count beside the 2 of this process."""
        if is_group:
            files = of_process("0::/a", V2.format(root="/"))
            files["sys/fs/cgroup/a/pids.max"] = limit
            files["sys/fs/cgroup/a/pids.current"] = others + 2
        else:
            files = of_process(resources={"Max processes": limit})
            files["proc/88/status"] = f"Uid:\t1000\t0\t0\t0\nThreads:\t{others}"
            files["proc/99/status"] = "Uid:\t1001\t1001\t1001\t1001\nThreads:\t9000"
        return write(tmp_path, files)

    assert limits.choose_threads(None, root("10000", 100)) == 16
    assert limits.choose_threads(None, root("40", 1)) == 9
    assert limits.choose_threads(4, root("40", 1)) == 4
    with pytest.raises(MemoryLimitError, match=r"or use --threads 9$"):
        limits.choose_threads(10, root("40", 1))
    with pytest.raises(MemoryLimitError) as refusal:
        limits.choose_threads(None, root("40", 30))
    assert ("pids.max" if is_group else "ulimit -u") in str(refusal.value)
    assert "leaves room for 10 " in str(refusal.value)
    assert "raise it by 5" in str(refusal.value)


def test_the_limit_of_processes_does_not_hold_for_root(tmp_path):
    status = {"Uid": "0\t0\t0\t0"}
    write(tmp_path, of_process(status=status, resources={"Max processes": "10"}))
    assert limits.choose_threads(None, tmp_path) == 16


def test_loading_needs_more_for_more_threads(tmp_path):
    resources = {"Max address space": 3 * 10**9, "Max stack size": 2**23}
    write(tmp_path, of_process(resources=resources))
    limits.check_loading(2, tmp_path)
    with pytest.raises(MemoryLimitError, match="raise ulimit -v to"):
        limits.check_loading(100, tmp_path)
    write(tmp_path, of_process(resources=resources | {"Max stack size": "unlimited"}))
    limits.check_loading(100, tmp_path)


def test_avx_is_missing_only_on_x86(tmp_path):
    assert not limits.lacks_avx(tmp_path)
    for line, lacks in (("flags\t\t: fpu sse2 avx avx2", 0), ("flags\t\t: fpu sse2", 1)):
        assert limits.lacks_avx(write(tmp_path, {"proc/cpuinfo": line})) == lacks
    assert not limits.lacks_avx(write(tmp_path, {"proc/cpuinfo": "Features\t: fp asimd"}))


def live_under(root):
    """Let this process take a made-up tree for its limits."""

    for module, name in (
        (budget, "memory_limit"),
        (budget, "free_memory"),
        (limits, "choose_threads"),
    ):
        setattr(module, name, partial(getattr(limits, name), root=root))


def in_group(root, limit, usage):
    """A tree of version 1 with a group for a job; usage: before TensorFlow computes."""
    group = "sys/fs/cgroup/memory/slurm/job_7"
    process = of_process("4:memory:/slurm/job_7/step_0", V1.format(root="/", name="memory"))
    return write(root, process | v1_memory(group, limit, usage))


@pytest.fixture
def large(tmp_path):
    """A picture of 4000 x 2668 pixels, and a small style."""
    content = save_small("temple.jpg", (4000, 2668), tmp_path / "large.jpg")
    style = save_small("woodcut_wave.jpg", (44, 33), tmp_path / "style.png")
    return "--content_image_filename", content, "--style_image_filename", style


def test_a_large_picture_in_a_small_group_is_cut_into_tiles(preloaded_program, large, tmp_path):
    root = in_group(tmp_path / "root", 2 * 10**9, 700 * 10**6)
    options = ("--preset", "painting", "--image_size", "original", "--precision", "bfloat16")
    under = partial(live_under, root)
    process = preloaded_program(*large, *options, "--dry_run", before=under)
    _, err = process.communicate()
    assert process.returncode == 6
    assert "job_7/memory.limit_in_bytes to" in err
    in_group(tmp_path / "root", 6 * 10**9, 700 * 10**6)
    for more in ((), ("--max_memory", "50G")):  # more than the kernel would let it have
        process = preloaded_program(*large, *options, "--dry_run", *more, before=under)
        _, err = process.communicate()
        assert process.returncode == 0, err
        assert "tiles, the first with a halo" in err


def test_a_group_too_small_for_tensorflow_is_refused_before_it_is_loaded(
    nst, pair, monkeypatch, tmp_path
):
    root = in_group(tmp_path / "root", 300 * 10**6, 10**8)
    monkeypatch.setattr(limits, "check_loading", partial(limits.check_loading, root=root))
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    done = nst(*pair, *QUICK)
    assert done.code == 6
    assert done.err.count("\n") == 1
    assert "0.2G are left; raise the limit of 0.3G in /sys/fs/cgroup/memory/slurm" in done.err


def threads_made(process):
    """The threads of a run that prints --log_json, once it has computed a step."""
    next_event(process, "step")
    made = psutil.Process(process.pid).num_threads()
    process.stdout.close()
    process.kill()
    return made


LONG = (*QUICK, "--epochs", 5000, "--log_json")


@pytest.mark.parametrize("threads", [1, 6])
def test_threads_are_as_many_as_asked_for(preloaded_program, pair, threads):
    made = threads_made(preloaded_program(*pair, *LONG, "--threads", threads))
    assert 2 * threads < made <= 2 * threads + limits.OTHER_THREADS


def test_a_quota_of_processors_sets_the_threads(preloaded_program, pair, tmp_path):
    quota = {"sys/fs/cgroup/a/cpu.max": "50000 100000"}
    root = write(tmp_path / "root", of_process("0::/a", V2.format(root="/")) | quota)
    made = threads_made(preloaded_program(*pair, *LONG, before=partial(live_under, root)))
    assert made <= 2 + limits.OTHER_THREADS


def limited(kind, value):
    """A function that sets a resource limit in a new process."""
    return partial(resource.setrlimit, kind, (value, value))


@pytest.mark.parametrize("kind", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_an_address_space_too_small_for_tensorflow_is_refused(program, pair, kind):
    process = program(*pair, *QUICK, preexec_fn=limited(kind, 500_000 * 1024))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 6
    assert err.count("\n") == 1
    assert "TensorFlow and the network need" in err


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [6_000_000, 3_000_000])  # C34
def test_the_shipped_picture_is_made_within_an_address_space(program, tmp_path, kilobytes):
    options = ("--image_size", "original", "--epochs", 1)
    process = program(*options, preexec_fn=limited(resource.RLIMIT_AS, kilobytes * 1024))
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    (manifest,) = tmp_path.glob("output/*/run.json")
    assert json.loads(manifest.read_text())["status"] == "finished"


@pytest.mark.slow
def test_the_advised_address_space_is_enough(program, pair, tmp_path):
    def run(kilobytes):
        limit = limited(resource.RLIMIT_AS, kilobytes * 1024)
        process = program(*pair, *QUICK, "--dry_run", preexec_fn=limit)
        _, err = process.communicate(timeout=300)
        return process.returncode, err

    code, err = run(1_000_000)
    for _ in range(2):  # for TensorFlow, then for the picture
        assert code == 6, err
        assert err.count("\n") == 1
        code, err = run(int(err.rpartition("raise ulimit -v to ")[2]))
    assert code == 0, err
