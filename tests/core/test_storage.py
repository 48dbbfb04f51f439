"""A folder is whole or refused: round trips, hostile folders, and faults of every system call.

The batteries run in a process of their own (`python test_storage.py NAME ARGUMENTS`), because they
fork and kill, which a process that has run JAX cannot do, and because they bound the memory.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import fcntl
import hashlib
import io
import itertools
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import example, given
from hypothesis import strategies as st

from infsup.core import storage
from infsup.core.errors import FileRejected, UsageError

SOURCE = Path(storage.__file__).parents[2]
FAST = "/dev/shm" if os.path.isdir("/dev/shm") else None


def samples() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    nan64 = np.array([0x7FF0000000000001, 0xFFF8DEADBEEF0001], np.uint64).view(np.float64)
    nan32 = np.array([0x7F800001, 0xFFC0BEEF], np.uint32).view(np.float32)
    nan16 = np.array([0x7F81, 0xFFC1], np.uint16).view(ml_dtypes.bfloat16)
    arrays = {
        "w": rng.standard_normal((7, 5)),
        "layers[0]/b.x": np.array([0.0, -0.0, np.inf, -np.inf, 5e-324, np.finfo(float).max]),
        "nan64": nan64,
        "nan32": nan32,
        "nan16": nan16,
        "nanf16": np.array([0x7C01, 0xFE01], np.uint16).view(np.float16),
        "h": rng.standard_normal(9).astype(ml_dtypes.bfloat16),
        "f": np.array([np.inf, -0.0, 1e-45, 0.1], np.float32),
        "f16": np.array([6e-8, 65504, -0.0], np.float16),
        "scalar": np.array(3.25),
        "scalar_b": np.array(True),
        "empty": np.zeros((0, 4), np.float32),
        "empty_b": np.zeros((3, 0), bool),
        "mask": np.array([True, False, True]),
        "axes": np.arange(2**16, dtype=np.uint16).reshape((2,) * 16),
    }
    for bits, sign in itertools.product((8, 16, 32, 64), ("int", "uint")):
        info = np.iinfo(f"{sign}{bits}")
        arrays[info.dtype.name] = np.array([info.min, 0, 1, info.max], info.dtype)
    return arrays


DOCUMENT = {
    "schema": 1,
    "problem": "é \\ \u2028 ∞",
    "upper": "0.1",
    "big": 2**64 - 1,
    "list": [1, -0.0, 1e300, 5e-324, True, None, {"a": []}],
}


def sums(document: bytes, arrays: bytes) -> bytes:
    a, b = (hashlib.sha256(x).hexdigest() for x in (document, arrays))
    return f"{a}  solution.json\n{b}  arrays.safetensors\n".encode()


def pieces(folder) -> tuple[bytes, bytes, bytes]:
    names = ("solution.json", "arrays.safetensors", "checksums")
    return tuple((Path(folder) / name).read_bytes() for name in names)


def put(folder, document: bytes, arrays: bytes, checks: bytes | None = None) -> None:
    """The three files as given; the checksums recomputed unless given."""
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    checks = sums(document, arrays) if checks is None else checks
    names = ("solution.json", "arrays.safetensors", "checksums")
    for name, raw in zip(names, (document, arrays, checks), strict=True):
        with open(f"{folder}/{name}", "wb") as file:
            file.write(raw)


def identical(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes()
        for k in a
    )


def same_json(a, b) -> bool:
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


# --------------------------------------------------------------------------------------- round trip


def test_round_trip_is_bit_exact_and_read_only(tmp_path):
    arrays = samples()
    storage.write_folder(tmp_path / "s", DOCUMENT, arrays)
    document, back = storage.read_folder(tmp_path / "s")
    assert same_json(document, DOCUMENT)
    assert identical(back, arrays)
    assert list(back) == sorted(arrays)
    for x in back.values():
        assert type(x) is np.ndarray
        assert x.dtype.isnative
        assert x.flags.aligned
        assert not x.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        back["w"][0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        back["w"].flags.writeable = True
    assert sorted(os.listdir(tmp_path)) == ["s"]
    assert sorted(os.listdir(tmp_path / "s")) == sorted(storage.FILES)


def test_equal_input_gives_equal_bytes(tmp_path):
    arrays = samples()
    storage.write_folder(tmp_path / "a", DOCUMENT, arrays)
    turned = {k: arrays[k] for k in reversed(arrays)}
    storage.write_folder(tmp_path / "b", dict(reversed(DOCUMENT.items())), turned)
    assert pieces(tmp_path / "a") == pieces(tmp_path / "b")


def test_second_reader_agrees(tmp_path):
    arrays = samples()
    storage.write_folder(tmp_path / "s", {}, arrays)
    listed = dict(safetensors.deserialize(pieces(tmp_path / "s")[1]))
    assert {k: v["shape"] for k, v in listed.items()} == {
        k: list(x.shape) for k, x in arrays.items()
    }
    assert all(bytes(v["data"]) == arrays[k].tobytes() for k, v in listed.items())
    # safetensors' NumPy loader does not know bfloat16.
    plain = {k: x for k, x in arrays.items() if x.dtype != ml_dtypes.bfloat16}
    storage.write_folder(tmp_path / "s", {}, plain)
    assert identical(safetensors.numpy.load(pieces(tmp_path / "s")[1]), plain)


def test_what_the_second_writer_wrote_is_read(tmp_path):
    plain = {k: x for k, x in samples().items() if x.dtype != ml_dtypes.bfloat16}
    document = json.dumps({"arrays": storage.describe(plain)}).encode()
    put(tmp_path / "s", document, safetensors.numpy.save(plain))
    assert identical(storage.read_folder(tmp_path / "s")[1], plain)


def test_checksums_are_those_of_sha256sum(tmp_path):
    if not shutil.which("sha256sum"):
        pytest.skip("no sha256sum here")
    storage.write_folder(tmp_path / "s", DOCUMENT, samples())
    subprocess.run(["sha256sum", "-c", "checksums"], cwd=tmp_path / "s", check=True)


def test_layouts_are_made_plain(tmp_path):
    a = np.arange(12.0).reshape(3, 4)
    given = {
        "fortran": np.asfortranarray(a),
        "strided": a[::2, ::-1],
        "big": a.astype(">f8"),
        "bool": np.array([0, 7, 1], np.uint8).view(bool),
        "scalar": np.float32(2.5),
        "broadcast": np.broadcast_to(np.int32(3), (2, 3)),
    }
    storage.write_folder(tmp_path / "s", {}, given)
    back = storage.read_folder(tmp_path / "s")[1]
    for name, x in given.items():
        assert back[name].dtype.name == x.dtype.name
        np.testing.assert_array_equal(back[name], x)
    assert back["bool"].view(np.uint8).tolist() == [0, 1, 1]


def test_nothing_at_all(tmp_path):
    storage.write_folder(tmp_path / "s", {}, {})
    assert storage.read_folder(tmp_path / "s") == ({}, {})


def test_many_arrays_and_limit_of_bytes(tmp_path):
    arrays = {f"t{i}": np.full(3, i, np.int16) for i in range(4_000)}
    storage.write_folder(tmp_path / "s", {}, arrays)
    begin = time.process_time()
    assert identical(storage.read_folder(tmp_path / "s")[1], arrays)
    assert time.process_time() - begin < 2
    with pytest.raises(FileRejected, match="more than the limit of 1,000") as caught:
        storage.read_folder(tmp_path / "s", max_bytes=1_000)
    assert "max_bytes" in caught.value.remedy
    with pytest.raises(UsageError):
        storage.read_folder(tmp_path / "s", max_bytes=True)


def test_storage_imports_no_jax():
    source = f"import sys; sys.path.insert(0, {os.fspath(SOURCE)!r}); "
    code = source + "import infsup.core.storage; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert not {"jax", "safetensors", "equinox", "scipy"} & set(done.stdout.split())


# ------------------------------------------------------------------------------ what is not written


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"arrays": {}}, "reserved|arrays"),
        ({"a": math.nan}, "nan"),
        ({"a": [-math.inf]}, "inf"),
        ({"a": 10**20}, "20 digits"),
        ({"a": (1, 2)}, "tuple"),
        ({"a": np.int64(1)}, "int64"),
        ({"a": {None: 2}}, "key"),
        ({"a": "\ud800"}, "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({"a": "x" * (17 << 20)}, "bytes"),
        ({"a": [0] * 200_001}, "entries"),
        ({"a": "," * 1_000_001}, "commas"),
    ],
)
def test_documents_that_no_reader_would_take(tmp_path, document, fault):
    with pytest.raises(UsageError, match=fault):
        storage.write_folder(tmp_path / "s", document, {})
    assert not os.listdir(tmp_path)


def test_deep_and_cyclic_documents(tmp_path):
    def nested(depth):
        tree = []
        for _ in range(depth):
            tree = [tree]
        return {"a": tree}

    storage.write_folder(tmp_path / "s", nested(storage.MAX_DEPTH - 2), {})
    assert same_json(storage.read_folder(tmp_path / "s")[0], nested(storage.MAX_DEPTH - 2))
    loop = {}
    loop["a"] = loop
    for bad in (nested(storage.MAX_DEPTH - 1), nested(100_000), loop):
        with pytest.raises(UsageError, match="nested"):
            storage.write_folder(tmp_path / "s", bad, {})


@pytest.mark.parametrize(
    "arrays",
    [
        {"": np.zeros(1)},
        {"../x": np.zeros(1)},
        {"a/../x": np.zeros(1)},
        {"/etc": np.zeros(1)},
        {"a//b": np.zeros(1)},
        {"a\n": np.zeros(1)},
        {"é": np.zeros(1)},
        {"__metadata__": np.zeros(1)},
        {"a" * 201: np.zeros(1)},
        {"a": np.zeros(1, complex)},
        {"a": np.array([None])},
        {"a": np.array(["x"])},
        {"a": np.zeros(1, "M8[s]")},
        {"a": np.zeros(1, [("x", "f8")])},
        {"a": np.ma.masked_array([1.0], [True])},
        {"a": np.zeros((1,) * 17)},
        {f"a{i}": np.zeros(1) for i in range(10_001)},
        {f"{i:0200}": np.zeros(1) for i in range(9_000)},
    ],
)
def test_arrays_that_no_reader_would_take(tmp_path, arrays):
    with pytest.raises(UsageError) as caught:
        storage.write_folder(tmp_path / "s", {}, arrays)
    assert caught.value.remedy
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("path", ["", "/", "a\0b"])
def test_paths_that_are_none(path):
    with pytest.raises(UsageError, match="path"):
        storage.write_folder(path, {}, {})
    # "/" is a folder, but not one of ours.
    with pytest.raises(FileRejected):
        storage.read_folder(path)


def _file(path):
    path.write_text("precious")


def _folder_with(*names):
    def make(path):
        path.mkdir()
        for name in names:
            (path / name).write_text("precious")

    return make


def _folder_in_folder(path):
    _folder_with("solution.json", "checksums")(path)
    (path / "arrays.safetensors").mkdir()


def _folder_with_link(path):
    _folder_with("solution.json", "checksums")(path)
    (path / "arrays.safetensors").symlink_to("checksums")


@pytest.mark.parametrize(
    "make",
    [
        _file,
        _folder_with("notes.txt"),
        _folder_with("notes.txt", *storage.FILES),
        _folder_with("solution.json"),
        _folder_in_folder,
        _folder_with_link,
        os.mkfifo,
    ],
)
def test_nothing_that_is_not_ours_is_overwritten(tmp_path, make):
    path = tmp_path / "s"
    make(path)
    before = sorted((p, p.is_file() and p.read_text()) for p in tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"^`.*/s` is (a file|not a saved solution)"):
        storage.write_folder(path, {}, {})
    assert before == sorted((p, p.is_file() and p.read_text()) for p in tmp_path.rglob("*"))


def test_a_file_put_in_while_saving_is_not_lost(tmp_path, monkeypatch):
    storage.write_folder(tmp_path / "s", {}, {})
    swap = storage._exchange

    def late(*names):
        (tmp_path / "s" / "notes.txt").write_text("precious")
        return swap(*names)

    monkeypatch.setattr(storage, "_exchange", late)
    storage.write_folder(tmp_path / "s", {"new": 1}, {})
    assert [p.read_text() for p in tmp_path.rglob("notes.txt")] == ["precious"]
    storage.write_folder(tmp_path / "s2", {}, {})
    assert len(list(tmp_path.rglob("notes.txt"))) == 1


def test_empty_folder_links_and_modes(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir(mode=0o700)
    storage.write_folder(tmp_path / "empty", {"v": 1}, {})
    storage.write_folder(tmp_path / "empty", {"v": 2}, {})
    assert stat.S_IMODE((tmp_path / "empty").stat().st_mode) == 0o700
    (tmp_path / "latest").symlink_to("empty")
    storage.write_folder(tmp_path / "latest", {"v": 3}, {})
    assert (tmp_path / "latest").is_symlink()
    assert storage.read_folder(tmp_path / "empty")[0] == {"v": 3}
    assert storage.read_folder(tmp_path / "latest")[0] == {"v": 3}
    monkeypatch.chdir(tmp_path)
    storage.write_folder("empty/", {"v": 4}, {})
    storage.write_folder("é x'\n", {"v": 5}, {})
    assert storage.read_folder("empty")[0] == {"v": 4}
    assert storage.read_folder("é x'\n")[0] == {"v": 5}
    assert len(os.listdir()) == 3


@pytest.mark.parametrize(
    ("path", "number", "remedy"),
    [
        ("no/such/s", errno.ENOENT, "making the folder"),
        ("file/s", errno.ENOTDIR, "making the folder"),
        ("x" * 256, errno.ENAMETOOLONG, "shorter"),
    ],
)
def test_refusals_of_the_system(tmp_path, path, number, remedy):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(storage.SaveFailed) as caught:
        storage.write_folder(tmp_path / path, {}, {})
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == number
    assert f"{tmp_path}/{path[:4]}" in caught.value.what
    assert remedy in caught.value.remedy
    assert os.listdir(tmp_path) == ["file"]


def test_no_permission(tmp_path):
    outer = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        storage.write_folder(outer / "s", {}, {})
        outer.chmod(0o555)
        (outer / "s" / "solution.json").chmod(0)
        if user == 0:
            # Modes do not stop root.
            os.seteuid(65534)
        with pytest.raises(storage.SaveFailed, match="ermission") as caught:
            storage.write_folder(outer / "t", {}, {})
        assert "may write" in caught.value.remedy
        with pytest.raises(FileRejected, match=r"cannot be opened: Perm"):
            storage.read_folder(outer / "s")
    finally:
        os.seteuid(user)
        outer.chmod(0o755)
        shutil.rmtree(outer)


# --------------------------------------------------------------------------- other saves, leftovers


def leftovers(parent) -> list[str]:
    return [name for name in os.listdir(parent) if name.startswith(".infsup-")]


def test_a_live_save_is_not_swept(tmp_path):
    parent = storage._opened(os.fspath(tmp_path), storage._FOLDER)
    with parent as at, storage._scratch(at, "s") as (stem, _, _):
        storage.write_folder(tmp_path / "s", {"v": 1}, {})
        assert leftovers(tmp_path) == [f"{stem}.new"]
        storage.write_folder(tmp_path / "t", {"v": 1}, {})
        assert leftovers(tmp_path) == [f"{stem}.new"]
    assert not leftovers(tmp_path)


def test_leftovers_without_locks_are_told_by_process(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_lock", lambda fd: None)
    dead = subprocess.Popen(["true"])
    dead.wait()
    host, name = storage._digest(os.uname().nodename, 8), storage._digest("s", 12)
    stems = {
        "dead": f".infsup-{name}-{host}-{dead.pid}-{'0' * 16}.new",
        "alive": f".infsup-{name}-{host}-{os.getpid()}-{'0' * 16}.new",
        "elsewhere": f".infsup-{name}-{'0' * 8}-{dead.pid}-{'0' * 16}.new",
        "huge": f".infsup-{name}-{host}-9999999999-{'0' * 16}.new",
    }
    for stem in stems.values():
        _folder_with("arrays.safetensors")(tmp_path / stem)
    storage.write_folder(tmp_path / "s", {}, {})
    assert sorted(leftovers(tmp_path)) == sorted(stems[k] for k in ("alive", "elsewhere", "huge"))


def test_only_our_own_leftovers_are_swept(tmp_path):
    host, name = storage._digest(os.uname().nodename, 8), storage._digest("s", 12)
    pattern = f".infsup-{name}-{host}-1-{{}}.new"
    _folder_with(*storage.FILES)(tmp_path / pattern.format("0" * 16))
    _folder_with()(tmp_path / pattern.format("1" * 16))
    _folder_with("checksums")(tmp_path / pattern.format("2" * 16))
    _folder_with("checksums", "mine.txt")(tmp_path / pattern.format("3" * 16))
    _folder_with(*storage.FILES)(tmp_path / "user")
    (tmp_path / pattern.format("4" * 16)).symlink_to("user")
    _folder_with(*storage.FILES)(tmp_path / pattern.format("5" * 15))
    _file(tmp_path / pattern.format("6" * 16))
    storage.write_folder(tmp_path / "s", {}, {})
    left = sorted(leftovers(tmp_path))
    assert left == sorted(pattern.format(x) for x in ("3" * 16, "4" * 16, "5" * 15, "6" * 16))
    assert len(os.listdir(tmp_path / "user")) == 3


def test_sweep_between_folder_and_lock(tmp_path, monkeypatch):
    """A sweep may take the folder of a save that has not locked it yet; the save begins again."""
    real, calls = storage.os.open, []

    def swept(path, flags, *args, **kwargs):
        if path == "arrays.safetensors" and not calls:
            calls.append(path)
            with storage._opened(os.fspath(tmp_path), storage._FOLDER) as at:
                storage._sweep(at, "s", spare_old=False)
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(storage.os, "open", swept)
    storage.write_folder(tmp_path / "s", {"v": 1}, {})
    assert calls
    assert storage.read_folder(tmp_path / "s")[0] == {"v": 1}
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("atomic", [True, False])
def test_readers_beside_writers(tmp_path, monkeypatch, atomic):
    if not atomic:
        monkeypatch.setattr(storage, "_exchange", lambda *names: False)
    target, faults, end = tmp_path / "s", [], time.monotonic() + 0.5

    def content(v):
        return {"v": v}, {"x": np.full(1000, v)}

    def write(who):
        v = who
        while time.monotonic() < end:
            try:
                storage.write_folder(target, *content(v))
            except storage.SaveFailed as error:
                # Two writers that both step aside may stand in each other's way; both say so.
                if atomic or error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    faults.append(error)
            except BaseException as error:
                faults.append(error)
            v += 2

    storage.write_folder(target, *content(0))
    writers = [threading.Thread(target=write, args=(who,)) for who in ((0, 1) if atomic else (0,))]
    for thread in writers:
        thread.start()
    reads = 0
    while time.monotonic() < end:
        document, arrays = storage.read_folder(target)
        assert (arrays["x"] == document["v"]).all()
        reads += 1
    for thread in writers:
        thread.join()
    assert not faults
    assert reads > 10
    storage.write_folder(target, *content(0))
    assert os.listdir(tmp_path) == ["s"]


def test_growth_while_reading(tmp_path, monkeypatch):
    storage.write_folder(tmp_path / "s", {}, {})
    real = os.fdopen

    def grown(fd, *args, **kwargs):
        with open(tmp_path / "s" / "checksums", "ab") as file:
            file.write(b"x")
        return real(fd, *args, **kwargs)

    monkeypatch.setattr(storage.os, "fdopen", grown)
    with pytest.raises(FileRejected, match="changed while it was read"):
        storage.read_folder(tmp_path / "s")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), MemoryError()])
def test_errors_while_reading(tmp_path, monkeypatch, error):
    storage.write_folder(tmp_path / "s", {}, {})

    class Bad(io.BytesIO):
        def read(self, *_):
            raise error

    monkeypatch.setattr(storage.os, "fdopen", lambda *_, **__: Bad())
    with pytest.raises(FileRejected, match=r"cannot be read: Input|more memory"):
        storage.read_folder(tmp_path / "s")


# ------------------------------------------------------------------------------------------ numbers

RATIONALS = st.fractions() | st.integers() | st.integers(-(2**4000), 2**4000)


@given(st.floats(allow_nan=False) | RATIONALS)
@example(-0.0)
@example(5e-324)
@example(1e16)
@example(math.inf)
@example(Fraction(1, 2**1074))
@example(0)
def test_numbers_come_back(x):
    text = storage.number_to_text(x)
    back = storage.text_to_number(text)
    assert back == x
    assert type(back) is (float if isinstance(x, float) else Fraction)
    assert str(back)[0] == str(x)[0]
    assert storage.number_to_text(back) == text


@given(st.text(alphabet="0123456789+-./_einfa ٣", max_size=12))
def test_one_text_for_each_number(text):
    with contextlib.suppress(FileRejected):
        assert storage.number_to_text(storage.text_to_number(text)) == text


def test_numbers_from_numpy():
    assert storage.number_to_text(np.float64(0.1)) == "0.1"
    assert storage.number_to_text(np.float32(0.1)) == "0.10000000149011612"
    assert storage.number_to_text(np.int64(-3)) == "-3/1"
    for bad in (math.nan, np.float32("nan"), True, np.longdouble(1)):
        with pytest.raises(UsageError, match="`x`"):
            storage.number_to_text(bad)
    for huge in (Fraction(1, 3**30_000), 10**5_000, 2**100_000, Fraction(10**4_200, 3**8_000)):
        with pytest.raises(UsageError, match="bits"):
            storage.number_to_text(huge)


SPELLINGS = """nan|+1.0|1|1.|.5|01.0|1.00|1e5|1E+16|1e16| 1.0|1.0 |1_0.0|infinity|Inf|+inf|1e400
-nan|0x1p+0|0.1000000000000000055511151231257827|1/0|0/2|2/4|-0/1|1/-2|+1/2|01/2|1/02|1 /2|1/2/3|/
1/|/2||--1.0|١/٢|1.5/2|1e1/2"""


@pytest.mark.parametrize("text", ["1/2\n", "1.0\n", *SPELLINGS.replace("\n", "|").split("|")])
def test_other_spellings_are_refused(text):
    with pytest.raises(FileRejected, match="number"):
        storage.text_to_number(text)


def test_long_and_foreign_texts_are_refused():
    for text in ("9" * 10**6, "1/" + "9" * 10**6, f"{'9' * 4400}/7", "1" * 100 + ".0", 1.0, None):
        with pytest.raises(FileRejected) as caught:
            storage.text_to_number(text)
        assert len(caught.value.what) < 150


# --------------------------------------------------------------------------------- handmade attacks


def head(header, body: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + body


def entry(shape, offsets, dtype="F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


ONE = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'

# Bytes of the arrays' file, the fault's words.
ARRAY_ATTACKS = {
    "header 2^63": (struct.pack("<Q", 2**63) + b"{}", "claims a header"),
    "header 2^64-1": (struct.pack("<Q", 2**64 - 1) + b"{}", "claims a header"),
    "header 99 MB": (struct.pack("<Q", 99 << 20) + b"{}", "claims a header"),
    "header one byte too long": (struct.pack("<Q", 3) + b"{}", "claims a header"),
    "nothing": (b"", "cut off"),
    "7 bytes": (b"1234567", "cut off"),
    "8 zeros": (bytes(8), "not JSON"),
    "overlap": (head({"a": entry([2], [0, 8]), "b": entry([2], [4, 12])}, bytes(12)), "overlap"),
    "same span": (head({"a": entry([1], [0, 4]), "b": entry([1], [0, 4])}, bytes(4)), "overlap"),
    "hole": (head({"a": entry([1], [0, 4]), "b": entry([1], [8, 12])}, bytes(12)), "gap"),
    "hole first": (head({"a": entry([1], [4, 8])}, bytes(8)), "gap"),
    "product overflows": (
        head({"a": entry([4194305, 4194305, 211106198978564], [0, 16])}, bytes(16)),
        "no valid shape",
    ),
    "product wraps to 16": (head({"a": entry([2**62 + 1, 4], [0, 16])}, bytes(16)), "valid shape"),
    "huge empty": (head({"a": entry([2**62, 2**62, 0], [0, 0])}), "no valid shape"),
    "negative": (head({"a": entry([-1], [0, 4])}, bytes(4)), "no valid shape"),
    "two negatives": (head({"a": entry([-1, -1], [0, 4])}, bytes(4)), "no valid shape"),
    "reversed": (head({"a": entry([1], [4, 0])}, bytes(4)), "do not fit"),
    "negative offset": (head({"a": entry([1], [-4, 0])}, bytes(4)), "no valid offsets"),
    "three offsets": (head({"a": entry([1], [0, 4, 4])}, bytes(4)), "no valid offsets"),
    "beyond the end": (head({"a": entry([2], [0, 8])}, bytes(4)), "do not fit"),
    "key twice": (head(ONE[:-1] + b"," + ONE[1:], bytes(4)), "key twice"),
    "field twice": (head(ONE.replace(b'"shape":[1]', b'"shape":[1],"shape":[1]')), "key twice"),
    "empty inside": (head({"a": entry([0], [4, 4]), "b": entry([2], [0, 8])}, bytes(8)), "overlap"),
    "left over": (head({"a": entry([1], [0, 4])}, bytes(8)), "4 bytes left over"),
    "traversal": (head({"../../etc/x": entry([1], [0, 4])}, bytes(4)), "names an array"),
    "inner traversal": (head({"a/../x": entry([1], [0, 4])}, bytes(4)), "names an array"),
    "absolute": (head({"/etc/x": entry([1], [0, 4])}, bytes(4)), "names an array"),
    "empty name": (head({"": entry([1], [0, 4])}, bytes(4)), "names an array"),
    "newline": (head({"a\n": entry([1], [0, 4])}, bytes(4)), "names an array"),
    "long name": (head({"a" * 201: entry([1], [0, 4])}, bytes(4)), "names an array"),
    "metadata": (head({"__metadata__": {"x": "y"}}), "names an array"),
    "deep": (head(b"[" * 100_000 + b"]" * 100_000), "nested"),
    "deep, open": (head(b"[" * 1_000_000), "nested"),
    "bool 7": (head({"a": entry([1], [0, 1], "BOOL")}, b"\x07"), "neither true nor false"),
    "100,000 arrays": (
        head({f"t{i}": entry([0], [0, 0]) for i in range(100_000)}),
        "claims a head",
    ),
    "10,001 arrays": (
        head(
            json.dumps({f"{i}": entry([0], [0, 0]) for i in range(10_001)})
            .replace(" ", "")
            .encode()
        ),
        "10,001 arrays",
    ),
    "float shape": (head(ONE.replace(b"[1]", b"[1.0]"), bytes(4)), "no valid shape"),
    "true shape": (head(ONE.replace(b"[1]", b"[true]"), bytes(4)), "no valid shape"),
    "shape no list": (head(ONE.replace(b"[1]", b'{"0":1}'), bytes(4)), "no valid shape"),
    "false offset": (head(ONE.replace(b"[0,4]", b"[false,4]"), bytes(4)), "no valid offsets"),
    "float offset": (head(ONE.replace(b"[0,4]", b"[0,4e0]"), bytes(4)), "no valid offsets"),
    "eight bits": (head({"a": entry([4], [0, 4], "F8_E4M3")}, bytes(4)), "not allowed"),
    "dtype a list": (head({"a": entry([4], [0, 4], ["F32"])}, bytes(4)), "not allowed"),
    "dtype an object": (head({"a": entry([4], [0, 4], {"F32": 1})}, bytes(4)), "not allowed"),
    "numpy's own name": (head({"a": entry([1], [0, 4], "float32")}, bytes(4)), "not allowed"),
    "200 axes": (head({"a": entry([1] * 200, [0, 4])}, bytes(4)), "no valid shape"),
    "17 axes": (head({"a": entry([1] * 17, [0, 4])}, bytes(4)), "no valid shape"),
    "more fields": (head({"a": {**entry([1], [0, 4]), "x": 1}}, bytes(4)), "other fields"),
    "fewer fields": (head({"a": {"dtype": "F32"}}, bytes(4)), "other fields"),
    "a number": (head({"a": 3}), "other fields"),
    "header a list": (head(b"[]"), "not a JSON object"),
    "NaN": (head(b'{"a":NaN}'), "NaN"),
    "UTF-16": (head("{}".encode("utf-16")), "not UTF-8"),
    "surrogate": (head(ONE.replace(b'"a"', b'"\\ud800"'), bytes(4)), "surrogate"),
    "other dtype than listed": (head({"w": entry([2], [0, 8], "I32")}, bytes(8)), "lists other"),
    "other shape than listed": (head({"w": entry([2, 1], [0, 8])}, bytes(8)), "lists other"),
    "not listed": (
        head({"w": entry([2], [0, 8]), "v": entry([0], [8, 8])}, bytes(8)),
        "lists other",
    ),
    "none": (head({}), "lists other"),
    "plain": (head({"w": entry([2], [0, 8])}, bytes(8)), ""),
    "leading spaces": (head(b"   " + json.dumps({"w": entry([2], [0, 8])}).encode(), bytes(8)), ""),
}

PLAIN = b'{"arrays": {"w": ["float32", [2]]}, "note": "ok", "schema": 1}\n'


def _with(old: bytes, new: bytes) -> bytes:
    assert old in PLAIN
    return PLAIN.replace(old, new)


# Bytes of the document, the fault's words.
DOCUMENT_ATTACKS = {
    "plain": (PLAIN, ""),
    "1e400": (_with(b": 1}", b": 1e400}"), "out of range"),
    "-1e400": (_with(b": 1}", b": -1e400}"), "out of range"),
    "key twice": (_with(b'"note"', b'"schema": 5, "note"'), "key twice"),
    "key twice, escaped": (_with(b'"note"', b'"\\u0073chema": 5, "note"'), "key twice"),
    "deep": (b"[" * 200_000, "nested"),
    "deep, closed": (_with(b'"ok"', b"[" * 101 + b"]" * 101), "nested"),
    "deep objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested"),
    "NaN": (_with(b": 1}", b": NaN}"), "NaN"),
    "Infinity": (_with(b": 1}", b": -Infinity}"), "Infinity"),
    "21 digits": (_with(b": 1}", b": " + b"1" * 21 + b"}"), "20 digits"),
    "100,000 digits": (_with(b": 1}", b": -" + b"9" * 100_000 + b"}"), "20 digits"),
    "long float": (_with(b": 1}", b": 0." + b"1" * (15 << 20) + b"}"), "out of range"),
    "20 digits": (_with(b": 1}", b": -" + b"9" * 20 + b"}"), ""),
    "byte order mark": (b"\xef\xbb\xbf" + PLAIN, "not JSON"),
    "Latin-1": (_with(b"ok", b"\xff"), "not UTF-8"),
    "overlong UTF-8": (_with(b"ok", b"\xc0\x80"), "not UTF-8"),
    "encoded surrogate": (_with(b"ok", b"\xed\xa0\x80"), "not UTF-8"),
    "lone surrogate": (_with(b"ok", b"\\udc00"), "surrogate"),
    "surrogate key": (_with(b"note", b"\\udc00"), "surrogate"),
    "surrogate pair": (_with(b"ok", b"\\ud83d\\ude00"), ""),
    "control character": (_with(b"ok", b"\n"), "not JSON"),
    "a list": (b"[1]", "not a JSON object"),
    "a number": (b"1", "not a JSON object"),
    "nothing": (b"", "not JSON"),
    "two objects": (PLAIN + PLAIN, "not JSON"),
    "trailing comma": (_with(b": 1}", b": 1,}"), "not JSON"),
    "comment": (PLAIN + b"// x", "not JSON"),
    "15 MB of text": (_with(b"ok", b"A" * (15 << 20)), ""),
    "17 MB": (_with(b"ok", b"A" * (17 << 20)), "more than the limit"),
    "3 million entries": (b"[" + b'"",' * 3_000_000 + b"1]", "commas and brackets"),
    "5 million lists": (b"[" + b"[]," * 5_000_000 + b"1]", "commas and brackets"),
    "300,000 entries": (b'{"a":[' + b"0," * 300_000 + b"1]}", "entries"),
    "300,000 keys": (
        b"{" + b",".join(b'"%d":0' % i for i in range(300_000)) + b"}",
        "entries",
    ),
    "backslashes": (b'"' + b"\\" * 5_000_000 + b'"', "not a JSON object"),
    "open string": (b'"' + b'a\\"' * 3_000_000, "not JSON"),
    "no table": (b'{"schema": 1}', "lists other"),
    "table a list": (_with(b'{"w": ["float32", [2]]}', b"[]"), "lists other"),
    "true in the table": (_with(b"[2]]", b"[true]]"), "lists other"),
    "2.0 in the table": (_with(b"[2]]", b"[2.0]]"), "lists other"),
}


def _replace(name, make):
    def attack(folder):
        os.unlink(f"{folder}/{name}")
        make(f"{folder}/{name}")

    return attack


def _truncate(name, size):
    return lambda folder: os.truncate(f"{folder}/{name}", size)


def _append(name):
    def attack(folder):
        with open(f"{folder}/{name}", "ab") as file:
            file.write(b"\n")

    return attack


def _whole_by(make):
    def attack(folder):
        shutil.rmtree(folder)
        make(folder)

    return attack


def _hard_link(inside):
    """A second name of a file elsewhere: of the same bytes, or of others."""

    def make(path):
        outside = f"{path}-outside"
        folder = os.path.dirname(path)
        raw = head({"w": entry([2], [0, 8])}, bytes(8) if inside else b"\1" * 8)
        outside = f"{folder}-outside"
        with open(outside, "wb") as file:
            file.write(raw)
        os.link(outside, path)
        os.unlink(outside)

    return _replace("arrays.safetensors", make)


def _device(path):
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


# What is done to a whole folder, the fault's words.
FOLDER_ATTACKS = {
    "link to a copy": (
        _replace("arrays.safetensors", lambda p: os.symlink("checksums", p)),
        "arrays.safetensors` is a symbolic link",
    ),
    "link to passwd": (
        _replace("solution.json", lambda p: os.symlink("/etc/passwd", p)),
        "solution.json` is a symbolic link",
    ),
    "link to itself": (
        _replace("checksums", lambda p: os.symlink("checksums", p)),
        "checksums` is a symbolic link",
    ),
    "link to zeros": (
        _replace("solution.json", lambda p: os.symlink("/dev/zero", p)),
        "is a symbolic link",
    ),
    "fifo": (_replace("solution.json", os.mkfifo), "solution.json` is not a regular file"),
    "directory": (_replace("checksums", os.mkdir), "checksums` is not a regular file"),
    "directory 2": (_replace("arrays.safetensors", os.mkdir), "is not a regular file"),
    "device": (_replace("solution.json", _device), "not a regular file|cannot be opened"),
    "sparse document": (_truncate("solution.json", 1 << 40), "more than the limit"),
    "sparse arrays": (_truncate("arrays.safetensors", 1 << 40), "more than the limit"),
    "sparse checksums": (_truncate("checksums", 1 << 40), "more than the limit"),
    "long checksums": (_append("checksums"), "checksums` is damaged"),
    "long document": (_append("solution.json"), "solution.json` does not match"),
    "long arrays": (_append("arrays.safetensors"), "arrays.safetensors` does not match"),
    "empty checksums": (_truncate("checksums", 0), "checksums` is damaged"),
    "missing": (lambda folder: os.unlink(f"{folder}/checksums"), "checksums` is missing"),
    "missing 2": (lambda folder: os.unlink(f"{folder}/solution.json"), "is missing"),
    "hard link, other bytes": (_hard_link(False), "does not match"),
    "hard link, same bytes": (_hard_link(True), ""),
    "more files": (lambda folder: _file(Path(folder) / "notes.txt"), ""),
    "no folder": (shutil.rmtree, "does not exist"),
    "empty folder": (_whole_by(os.mkdir), "is missing"),
    "a file": (_whole_by(lambda f: _file(Path(f))), "is not a folder"),
    "a fifo for a folder": (_whole_by(os.mkfifo), "is not a folder"),
    "a link to nowhere": (_whole_by(lambda f: os.symlink("nowhere", f)), "does not exist"),
    "a link to itself as folder": (_whole_by(lambda f: os.symlink(f, f)), "cannot be opened"),
}


def handmade(base: str, bug: str = "") -> dict:
    """Every handmade attack: what came out other than expected, and the slowest."""
    plant(bug)
    faults, slowest, cases = [], 0.0, 0

    def case(kind, name, expected):
        nonlocal slowest, cases
        cases += 1
        begin = time.process_time()
        try:
            storage.read_folder(folder)
            got = ""
        except FileRejected as error:
            got = error.what
            if "\n" in got or len(got) > 250 or folder not in got or not error.remedy:
                faults.append(f"{kind} {name}: unclear message {got[:200]!r}")
        except BaseException as error:
            got = f"CRASH {error!r}"
        seconds = time.process_time() - begin
        slowest = max(slowest, seconds)
        if seconds > 1 or bool(got) != bool(expected):
            faults.append(f"{kind} {name}: {got[:200]!r} in {seconds:.2f} s")
        elif not any(words in got for words in expected.split("|")):
            faults.append(f"{kind} {name}: {got[:200]!r}, not {expected!r}")

    folder = f"{base}/s"
    raw = ARRAY_ATTACKS["plain"][0]
    for name, (arrays, expected) in ARRAY_ATTACKS.items():
        if bug and faults:
            break
        put(folder, PLAIN, arrays)
        case("arrays", name, expected)
    for name, (document, expected) in DOCUMENT_ATTACKS.items():
        if bug and faults:
            break
        put(folder, document, raw)
        case("document", name, expected)
    for name, (attack, expected) in FOLDER_ATTACKS.items():
        if bug and faults:
            break
        put(folder, PLAIN, raw)
        try:
            attack(folder)
        except PermissionError:
            continue
        case("folder", name, expected)
        (shutil.rmtree if os.path.isdir(folder) and not os.path.islink(folder) else _unlink)(folder)
    return {"faults": faults, "cases": cases, "slowest": slowest}


def _unlink(path):
    if os.path.lexists(path):
        os.unlink(path)


# ---------------------------------------------------------------------------------------- mutations


def mutate(raw: bytes, rng: random.Random) -> bytes:
    b, kind = bytearray(raw), rng.randrange(9)
    i, j = rng.randrange(len(b)), rng.randrange(len(b))
    if kind == 0:
        return bytes(b[:i])
    if kind == 1:
        b[i] ^= 1 << rng.randrange(8)
    elif kind == 2:
        for _ in range(rng.randint(1, 20)):
            b[rng.randrange(len(b))] = rng.randrange(256)
    elif kind == 3:
        b[i:i] = rng.randbytes(rng.randint(1, 9))
    elif kind == 4:
        del b[i : i + rng.randint(1, 30)]
    elif kind == 5:
        b[i:i] = b[j : j + 20]
    elif kind == 6:
        b += rng.randbytes(rng.randint(1, 64))
    elif kind == 7:
        b[i : i + 16] = bytes(16)
    else:
        # A number of the text by another, which random bytes would hardly ever hit.
        digits = [k for k in range(min(len(b), 3000)) if 48 <= b[k] < 58]
        if digits:
            k = end = rng.choice(digits)
            while k and 48 <= b[k - 1] < 58:
                k -= 1
            while end < len(b) and 48 <= b[end] < 58:
                end += 1
            words = "0 1 -1 1e400 NaN Infinity -Infinity 18446744073709551615 true null [] {} 0.5"
            words += " 4194305 " + "9" * 400 + " " + "9" * 5000 + ' "" "F64" 4611686018427387904'
            b[k:end] = rng.choice(words.split()).encode()
    return bytes(b)


def fuzz(base: str, count: int, seed: int, bug: str = "") -> dict:
    """Damage (checksums stay) and attacks (recomputed): outcomes, and what must not have been."""
    plant(bug)
    rng = random.Random(seed)
    folder, again = f"{base}/s", f"{base}/again"
    arrays = {k: x for k, x in samples().items() if k != "axes"}
    storage.write_folder(folder, DOCUMENT, arrays)
    whole = pieces(folder)
    outcomes, faults, slowest = collections.Counter(), [], 0.0
    for mode, _ in itertools.product(("damage", "attack"), range(count)):
        parts = list(whole)
        i = rng.randrange(3 if mode == "damage" else 2)
        parts[i] = mutate(parts[i], rng)
        if mode == "attack":
            parts[2] = sums(*parts[:2])
        put(folder, *parts)
        begin = time.process_time()
        try:
            got = storage.read_folder(folder)
        except FileRejected as error:
            outcome = "refused"
            if "\n" in error.what or len(error.what) > 250:
                faults.append(f"unclear message {error.what!r}")
        except BaseException as error:
            outcome = "crash"
            faults.append(f"{mode} {i}: {error!r}")
        else:
            if same_json(got[0], DOCUMENT) and identical(got[1], arrays):
                outcome = "same content" if tuple(parts) != whole else "unchanged"
            else:
                outcome = "other content"
                # Whatever is let in must be something that we could have written.
                try:
                    storage.write_folder(again, *got)
                    back = storage.read_folder(again)
                    closed = same_json(got[0], back[0]) and identical(got[1], back[1])
                except BaseException as error:
                    closed = False
                    faults.append(f"accepted, but {error!r}")
                if mode == "damage" or not closed:
                    faults.append(f"{mode} {i}: accepted {parts[i][:60]!r}")
        slowest = max(slowest, time.process_time() - begin)
        outcomes[f"{mode}: {outcome}"] += 1
    if slowest > 0.1:
        faults.append(f"{slowest:.2f} s for one folder")
    return {"faults": faults, "outcomes": dict(outcomes), "slowest": slowest}


# ---------------------------------------------------------------------- faults of every system call

CALLS = {"mkdir", "open", "write", "fsync", "close", "rename", "unlink", "rmdir"}
CALLS |= {"stat", "fstat", "listdir", "fchmod"}
# In this process; the others end it, or leave its files open, so they have one of their own.
MILD = {"error", "late", "persist", "short", "interrupt"}
MODES = (*sorted(MILD), "dead", "kill", "killed-after", "torn")


class Faulty:
    """The system calls of a save, of which the n-th goes wrong (the n-th write, if half is)."""

    def __init__(self, n=0, mode="none"):
        self.n, self.mode, self.log, self.at_fault = n, mode, [], ""
        self.count, self.cleaning = 0, 0

    def __getattr__(self, name):
        real = getattr(os, name)
        return self.wrapped(name, real) if name in CALLS else real

    def wrapped(self, name, real):
        def call(*args, **kwargs):
            return self.call(name, real, args, kwargs)

        return call

    def call(self, name, real, args, kwargs):
        self.log.append(name)
        mode = self.mode
        self.count += name == "write" or mode not in ("short", "torn")
        making = name in ("mkdir", "write") or (name == "open" and args[1] & os.O_CREAT)
        lasting = mode == "dead" or (mode == "persist" and making)
        if self.at_fault and not lasting:
            return real(*args, **kwargs)
        if not 0 < self.n <= self.count or (mode == "persist" and not making):
            return real(*args, **kwargs)
        self.mark(name)
        if mode in ("error", "persist"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if mode == "dead":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode in ("short", "torn"):
            args = (args[0], bytes(args[1])[: (len(args[1]) + 1) // 2])
        try:
            result = real(*args, **kwargs)
        except OSError:
            # It would have failed anyway, so nobody need notice.
            self.at_fault += " in vain"
            raise
        finally:
            if mode in ("killed-after", "torn"):
                os.kill(os.getpid(), signal.SIGKILL)
            if mode == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
        if mode == "late":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return result

    def mark(self, name):
        self.at_fault = self.at_fault or f"{name}{' in cleaning' if self.cleaning else ''}"

    @contextlib.contextmanager
    def installed(self, steps):
        """In `storage` of this process; with `steps` as on a system without exchange."""
        names = ("os", "fcntl", "_exchange", "_clear", "_sweep")
        before = {name: getattr(storage, name) for name in names}

        class Locks:
            LOCK_EX, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_NB

        def cleaning(real):
            def call(*args, **kwargs):
                self.cleaning += 1
                try:
                    return real(*args, **kwargs)
                finally:
                    self.cleaning -= 1

            return call

        Locks.flock = staticmethod(self.wrapped("flock", fcntl.flock))
        swap = self.wrapped("exchange", storage._exchange)
        storage.os, storage.fcntl = self, Locks
        storage._exchange = (lambda *_: False) if steps else swap
        storage._clear, storage._sweep = cleaning(storage._clear), cleaning(storage._sweep)
        try:
            yield
        finally:
            for name in names:
                setattr(storage, name, before[name])


def version(v: int):
    return {"v": v}, {"x": np.full(2000, v), "y": np.full(3, v, np.int8)}


def in_place(path, document, arrays):
    """A planted bug: the three files written over the old ones."""
    spare = tempfile.mkdtemp(dir=os.path.dirname(os.path.dirname(path)))
    try:
        os_, storage.os = storage.os, os
        storage.write_folder(f"{spare}/s", document, arrays)
        storage.os = os_
        raw = pieces(f"{spare}/s")
    finally:
        shutil.rmtree(spare)
    if not os.path.isdir(path):
        storage.os.mkdir(path)
    for name, content in zip(
        ("solution.json", "arrays.safetensors", "checksums"), raw, strict=True
    ):
        fd = storage.os.open(f"{path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        storage._emit(fd, [content])
        storage.os.close(fd)


def remove_first(path, document, arrays):
    """A planted bug: a folder beside, whole, but the old one is removed before the rename."""
    REAL_WRITE(f"{path}.tmp", document, arrays)
    if os.path.isdir(path):
        for name in storage.FILES:
            storage.os.unlink(f"{path}/{name}")
        storage.os.rmdir(path)
    storage.os.rename(f"{path}.tmp", path)


def no_sweep(path, document, arrays):
    """A planted bug: what killed saves left stays for ever."""
    storage._sweep = lambda *_, **__: None
    REAL_WRITE(path, document, arrays)


def no_cleaning(path, document, arrays):
    """A planted bug: a failed save leaves its scratch folder."""
    storage._clear = lambda *_: None
    REAL_WRITE(path, document, arrays)


REAL_WRITE = storage.write_folder
WRITERS = {
    "ours": REAL_WRITE,
    "in place": in_place,
    "remove first": remove_first,
    "no sweep": no_sweep,
    "no cleaning": no_cleaning,
}


def seen(target: str):
    try:
        document, arrays = storage.read_folder(target)
    except FileRejected as error:
        return None if error.what.endswith("does not exist") else "DAMAGED"
    ok = same_json(document, version(document["v"])[0])
    return document["v"] if ok and identical(arrays, version(document["v"])[1]) else "MIXED"


def save_once(write, target: str, n: int, mode: str, steps: bool) -> dict:
    """One save of version 2 with one fault."""
    faulty, error = Faulty(n, mode), ""
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    try:
        with faulty.installed(steps):
            write(target, *version(2))
    except storage.SaveFailed as e:
        error = "SaveFailed" if target in e.what and e.remedy and e.errno else "UNCLEAR"
    except BaseException as e:
        error = repr(e)
    if descriptors:
        descriptors -= len(os.listdir("/proc/self/fd"))
    return {
        "error": error,
        "fault": faulty.at_fault,
        "cleaning": "in cleaning" in faulty.at_fault,
        "leaked": -descriptors,
    }


def in_child(*args) -> dict:
    """The same in a process of its own; of one that was killed there is nothing to report."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(into, json.dumps(save_once(*args)).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as stream:
        raw = stream.read()
    os.waitpid(pid, 0)
    killed = {"error": "killed", "fault": "kill", "cleaning": True, "leaked": 0}
    return json.loads(raw) if raw else killed


def trial(write, base, n, mode, overwrite, steps) -> tuple[str, str]:
    """Outcome ("" if the fault never came), and what must not have been ("" if nothing)."""
    for name in os.listdir(base):
        shutil.rmtree(f"{base}/{name}")
    target = f"{base}/s"
    if overwrite:
        write(target, *version(1))
    report = (save_once if mode in MILD else in_child)(write, target, n, mode, steps)
    error, fault = report["error"], report["fault"]
    if not fault:
        return "", ""
    v, left = seen(target), len(os.listdir(base)) - os.path.isdir(target)
    outcome = f"{error.split('(')[0] or 'saved'} {v}{' left' * bool(left)}"
    wrong = ""
    if v not in ((1, 2) if overwrite else (None, 2)):
        wrong = f"reads {v}"
    elif not error and v != 2:
        wrong = f"said saved, reads {v}"
    elif error not in ("", "killed", "SaveFailed", "KeyboardInterrupt()"):
        wrong = f"raised {error}"
    elif not (error or mode == "short" or report["cleaning"] or fault in HARMLESS):
        wrong = "the fault went unnoticed"
    elif left and not (report["cleaning"] and mode not in ("error", "persist", "short")):
        # A kill, an interrupted or a dead cleaning leave something for the next save.
        wrong = "" if mode == "dead" else f"left {left} behind"
    elif mode in MILD and report["leaked"] > (
        mode in ("late", "interrupt") or fault.startswith("close")
    ):
        # A descriptor that the system made, but that never came back, is nobody's.
        wrong = f"{report['leaked']} descriptors left open"
    if not wrong:
        write(target, *version(3))
        if seen(target) != 3 or os.listdir(base) != ["s"]:
            wrong = f"then {seen(target)}, {os.listdir(base)}"
    return outcome, wrong and f"call {n}, {fault}: {wrong} ({outcome})"


# Where there are no locks, a save goes on without.
HARMLESS = {"flock", "stat in vain", "rename in vain"}


def fault_battery(base: str, writer: str, modes: str, system: str) -> dict:
    """Fail the n-th system call of a save, n = 1, 2, ... until a save completes."""
    faults, outcomes, points = [], {}, 0
    for mode, overwrite in itertools.product(modes.split(), (False, True)):
        count, case = collections.Counter(), f"{mode}, {'over' if overwrite else 'new'}"
        for n in itertools.count(1):
            outcome, wrong = trial(WRITERS[writer], base, n, mode, overwrite, system == "steps")
            if not outcome:
                break
            points += 1
            count[outcome] += 1
            if wrong:
                faults.append(f"{case}, {wrong}")
        outcomes[case] = dict(count)
        if faults and writer != "ours":
            break
    return {"faults": faults, "outcomes": outcomes, "points": points}


def limit_battery(base: str) -> dict:
    """The limits of the system itself: size of a file, a full file system."""
    faults, ran = [], []

    def attempt(name, target):
        ran.append(name)
        try:
            storage.write_folder(target, *version(2))
            faults.append(f"{name}: saved")
        except storage.SaveFailed as error:
            if error.errno not in (errno.EFBIG, errno.ENOSPC) or "space" not in error.remedy:
                faults.append(f"{name}: {error}")
        if seen(target) is not None or os.listdir(os.path.dirname(target)):
            faults.append(f"{name}: {seen(target)}, {os.listdir(os.path.dirname(target))}")

    small = f"{base}/small"
    os.mkdir(small)
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", small]
    if not subprocess.run(mount, capture_output=True, check=False).returncode:
        try:
            attempt("full", f"{small}/s")
        finally:
            subprocess.run(["umount", small], check=True)
    os.rmdir(small)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    attempt("size", f"{base}/s")
    return {"faults": faults, "ran": ran}


def trace_battery(base: str, forget: str = "") -> dict:
    """Against power loss, which no kill shows: is everything synced before it is named?"""
    log, real = [], {name: getattr(os, name) for name in ("open", "fsync", "rename")}
    swap = storage._exchange

    def path(fd):
        return os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), base)

    def shaped(name):
        kind = "temporary" if name.startswith(".infsup") else name
        return f"{kind}/{os.path.basename(name)}" if "/" in name else kind

    class Traced:
        def __getattr__(self, name):
            return getattr(os, name)

        def fsync(self, fd):
            if shaped(path(fd)) != forget:
                log.append(f"sync {shaped(path(fd))}")
            real["fsync"](fd)

        def rename(self, a, b, **at):
            real["rename"](a, b, **at)
            log.append("named")

    def exchange(*args):
        done = swap(*args)
        log.append("named")
        return done

    storage.os, storage._exchange = Traced(), exchange
    faults = []
    files = sorted(f"sync temporary/{name}" for name in storage.FILES)
    for v in (1, 2):
        log.clear()
        storage.write_folder(f"{base}/s", *version(v))
        if not (sorted(log[:3]) == files and log[3:] == ["sync temporary", "named", "sync ."]):
            faults.append(log.copy())
    return {"faults": faults}


def wrong_types(base: str) -> dict:
    """Here, because the suite's own type checks would answer first."""
    calls = [
        *((storage.write_folder, path, {}, {}) for path in (3, None, ["a"])),
        *((storage.write_folder, f"{base}/s", document, {}) for document in ([], {1: 2}, None)),
        *((storage.write_folder, f"{base}/s", {}, x) for x in ({3: np.zeros(1)}, {"a": [1.0]})),
        *((storage.number_to_text, x) for x in ("1.0", None, 1j, np.True_, [1.0], np.zeros(1))),
    ]
    faults = []
    for call, *args in calls:
        try:
            call(*args)
            faults.append(f"{args!r} passed")
        except UsageError as error:
            if not error.remedy:
                faults.append(f"{args!r}: {error}")
        except Exception as error:
            faults.append(f"{args!r}: {error!r}")
    for path in (3, None):
        try:
            storage.read_folder(path)
            faults.append(f"{path!r} passed")
        except FileRejected:
            pass
    return {"faults": faults + os.listdir(base)}


def plant(name: str) -> None:
    """A reader with one guard missing, which the battery at hand must find."""
    if name == "no checksums":
        storage._check_sums = lambda *_: None
    elif name == "json.loads":
        storage._parse = lambda raw, where: json.loads(raw)
    elif name == "isinstance":
        storage._naturals = lambda v: (
            isinstance(v, list) and all(isinstance(n, int) and n >= 0 for n in v)
        )
    elif name == "follows":
        storage._FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    elif name == "any name":
        storage._NAME = re.compile(".*", re.DOTALL)
    elif name:
        raise ValueError(name)


JOBS = {f.__name__: f for f in (handmade, fuzz, fault_battery, limit_battery, trace_battery)}
JOBS["wrong_types"] = wrong_types


def main(jobs: str) -> None:
    """Each job in a fork of its own, so that nothing planted outlives it."""
    outs = []
    for name, *args in json.loads(jobs):
        root = tempfile.mkdtemp(dir=FAST)
        base, result = f"{root}/base", Path(f"{root}/result")
        os.mkdir(base)
        begin = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            try:
                # Far above what a reader needs, far below what a false length would ask for.
                resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
                out = JOBS[name](base, *args)
                result.write_text(json.dumps({**out, "jax": "jax" in sys.modules}))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        outs.append(json.loads(result.read_text()) if result.exists() else None)
        shutil.rmtree(root)
        if outs[-1] is None:
            sys.exit(f"{name} {args} ended without a result")
        outs[-1]["seconds"] = round(time.perf_counter() - begin, 2)
    print(json.dumps(outs))


def battery(*jobs: tuple) -> list[dict]:
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(jobs)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert not done.returncode, done.stderr.decode()[-2000:]
    outs = json.loads(done.stdout)
    for job, out in zip(jobs, outs, strict=True):
        print(*job, {k: v for k, v in out.items() if k != "faults"})
        assert not out["jax"]
    return outs


def test_handmade_attacks():
    out, types = battery(("handmade",), ("wrong_types",))
    assert not out["faults"]
    assert not types["faults"]
    assert out["cases"] >= len(ARRAY_ATTACKS) + len(DOCUMENT_ATTACKS) + len(FOLDER_ATTACKS) - 1


def test_mutations():
    (out,) = battery(("fuzz", 500, 1))
    assert not out["faults"]
    assert out["outcomes"]["damage: refused"] > 450
    assert out["outcomes"]["attack: other content"] > 5


def test_faults_of_every_call():
    outs = battery(
        ("fault_battery", "ours", "error persist interrupt kill torn", "exchange"),
        ("fault_battery", "ours", "error kill", "steps"),
    )
    for out in outs:
        assert not out["faults"]
        assert out["points"] > 150


def test_batteries_find_planted_bugs():
    jobs = [
        ("handmade", "json.loads"),
        ("handmade", "isinstance"),
        ("handmade", "follows"),
        ("handmade", "any name"),
        ("fuzz", 200, 1, "no checksums"),
        ("fuzz", 200, 1, "json.loads"),
        ("fault_battery", "in place", "error", "exchange"),
        ("fault_battery", "in place", "kill", "exchange"),
        ("fault_battery", "remove first", "kill", "exchange"),
        ("fault_battery", "no sweep", "torn", "exchange"),
        ("fault_battery", "no cleaning", "error", "exchange"),
    ]
    for job, out in zip(jobs, battery(*jobs), strict=True):
        assert out["faults"], job


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="names of descriptors from /proc")
def test_all_is_synced_before_it_is_named():
    forgotten = ("", "temporary/checksums", "temporary", ".")
    outs = battery(*(("trace_battery", forget) for forget in forgotten))
    assert [bool(out["faults"]) for out in outs] == [False, True, True, True]


# --------------------------------------------------------------------------------------------- long


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_mutations_at_length(seed):
    (out,) = battery(("fuzz", 25_000, 100 + seed))
    assert not out["faults"]


@pytest.mark.slow
@pytest.mark.parametrize("system", ["exchange", "steps"])
def test_every_fault_of_every_call(system):
    (out,) = battery(("fault_battery", "ours", " ".join(MODES), system))
    assert not out["faults"]


@pytest.mark.slow
def test_limits_of_the_system():
    (out,) = battery(("limit_battery",))
    assert not out["faults"]
    assert "size" in out["ran"]


if __name__ == "__main__":
    main(sys.argv[1])
