"""How many threads: the environment, affinity and control groups."""

from __future__ import annotations

import os

import pytest

from instmodel.base import cpus


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of 16 CPUs without a quota; files go under the returned folder."""
    for name in ("INSTMODEL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    quota = cpus.cgroup_quota
    monkeypatch.setattr(cpus, "cgroup_quota", lambda: quota(tmp_path))
    return tmp_path


def write(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def v2(root, group, **quotas):
    """A version 2 control group, and the cpu.max of it and of those above, by path."""
    write(root, proc__self__cgroup=f"0::{group}\n")
    for path, text in quotas.items():
        folder = root / "sys/fs/cgroup" / path.strip("_").replace("__", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(text)


def test_without_limits_it_is_the_affinity(machine):
    assert cpus.default_thread_count() == (16, "CPU affinity")


def test_the_quota_of_a_version_2_group(machine):
    v2(machine, "/a/b", a__b="200000 100000\n")
    assert cpus.default_thread_count() == (2, "cgroup CPU quota")


@pytest.mark.parametrize(
    ("quota", "threads"),
    [("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2), ("310000 100000", 4)],
)
def test_a_part_of_a_cpu_counts_as_one(machine, quota, threads):
    v2(machine, "/a", a=quota)
    assert cpus.default_thread_count().threads == threads


def test_the_tightest_group_on_the_way_up_binds(machine):
    v2(machine, "/a/b/c", a="300000 100000", a__b="max 100000", a__b__c="900000 100000")
    assert cpus.default_thread_count().threads == 3


def test_the_root_of_a_container_counts(machine):
    # Inside a container, the group's path is often the host's and not there.
    v2(machine, "/docker/0123abcd", _="400000 100000")
    assert cpus.default_thread_count().threads == 4


def test_the_quota_of_a_version_1_group(machine):
    write(machine, proc__self__cgroup="5:memory:/x\n4:cpu,cpuacct:/jobs/7\n0::/\n")
    folder = machine / "sys/fs/cgroup/cpu/jobs/7"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("250000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert cpus.default_thread_count() == (3, "cgroup CPU quota")


@pytest.mark.parametrize("text", ["max 100000", "-1", "", "0 100000", "x y", "5 0", "\xff\xff"])
def test_a_group_without_a_quota(machine, text):
    v2(machine, "/a", a=text)
    assert cpus.default_thread_count() == (16, "CPU affinity")


@pytest.mark.parametrize("text", ["", "\n", "nonsense", "0::", "::::", "0::/../../etc"])
def test_group_files_that_say_nothing(machine, text):
    write(machine, proc__self__cgroup=text)
    assert cpus.default_thread_count() == (16, "CPU affinity")


@pytest.mark.parametrize(("text", "threads"), [("4", 4), (" 4 ", 4), ("4,2", 4), ("99", 16)])
def test_omp_num_threads_caps(machine, monkeypatch, text, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert cpus.default_thread_count().threads == threads


@pytest.mark.parametrize("text", ["", "0", "-3", "many", "1.5"])
def test_an_omp_num_threads_that_says_nothing(machine, monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert cpus.default_thread_count() == (16, "CPU affinity")


def test_instmodel_num_threads_overrides_all(machine, monkeypatch):
    v2(machine, "/a", a="200000 100000")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("INSTMODEL_NUM_THREADS", "7")
    assert cpus.default_thread_count() == (7, "INSTMODEL_NUM_THREADS")


def test_a_system_without_affinity(machine, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert cpus.default_thread_count() == (5, "CPU count")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpus.default_thread_count().threads == 1
