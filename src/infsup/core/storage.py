"""The low layer of a solution's files: a folder that is either whole or refused.

A folder holds three files and nothing else: `solution.json` (one JSON object), `arrays.safetensors`
(raw bytes of the arrays) and `checksums` (their SHA-256, in the form that `sha256sum -c` reads).
`write_folder` never leaves a mixture of two saves behind, whenever it is cut off; `read_folder`
takes the folder for hostile: every length is bounded before memory is asked for, no name in a file
is used as a path or a class, and whatever is wrong comes out as one `FileRejected`.

What the content means is the business of `core/files.py`. POSIX only (Linux, macOS).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import math
import os
import re
import secrets
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np

from infsup.core.errors import FileRejected, InfsupError, UsageError

DOCUMENT, ARRAYS, SUMS = "solution.json", "arrays.safetensors", "checksums"
FILES = frozenset((DOCUMENT, ARRAYS, SUMS))
TABLE = "arrays"
"""The key of the document that belongs to this layer: dtype and shape of every array."""

MAX_DOCUMENT = 16 << 20
MAX_ARRAYS = 8 << 30
MAX_HEADER = 1 << 20
MAX_COUNT = 10_000
MAX_AXES = 16
MAX_ENTRIES = 200_000
MAX_MARKS = 1_000_000
MAX_DEPTH = 100
MAX_DIGITS = 20
MAX_NUMBER = 8_000

_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_CODES = {dtype.name: code for code, dtype in _DTYPES.items()}

# No segment begins with a dot, so that a foreign tool that unpacks arrays by name stays inside too.
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.\-\[\]]*"
_NAME = re.compile(rf"(?=.{{1,200}}\Z)(?!__metadata__\Z){_SEGMENT}(?:/{_SEGMENT})*", re.ASCII)
_RATIONAL = re.compile(r"-?(?:0|[1-9][0-9]*)/[1-9][0-9]*", re.ASCII)

_CHUNK = 16 << 20
_TRIES = 8
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD_OR_NEW = (
    "What was saved under this name before is still whole, unless the new one took its place."
)


class SaveFailed(InfsupError, OSError):
    """The system did not let a folder be saved; `errno` is the system's own number."""


# ------------------------------------------------------------------------------------------ numbers


def number_to_text(x: float | int | Fraction | np.number) -> str:
    """The one canonical text of a bracket end, which reads back to the same number.

    Args:
        x: a float (NumPy floats of up to 64 bits included), an integer or a fraction; not NaN.

    Returns:
        The shortest decimal that reads back to the same float64, `"inf"` or `"-inf"`; for integers
        and fractions `"p/q"` in lowest terms with `q > 0`.

    Raises:
        UsageError: for NaN, for another type, and for fractions of more than 8,000 characters.
    """
    if isinstance(x, float) or (isinstance(x, np.floating) and x.itemsize <= 8):
        if math.isnan(x):
            raise UsageError("`x` is NaN", "A bracket end is a number.", "an end of -inf or inf")
        return repr(float(x))
    if isinstance(x, bool) or not isinstance(x, (int, Fraction, np.integer)):
        raise UsageError(
            f"`x` is a {type(x).__name__}",
            "A bracket end is stored without loss as a float64 or a fraction.",
            "float(x) or fractions.Fraction(x)",
        )
    exact = Fraction(x) if isinstance(x, Fraction) else Fraction(int(x))
    # Python refuses to print integers above a limit of digits; bits bound the digits from above.
    bits = exact.numerator.bit_length() + exact.denominator.bit_length()
    text = ""
    if bits <= 4 * MAX_NUMBER:
        with suppress(ValueError):
            text = f"{exact.numerator}/{exact.denominator}"
    if not 0 < len(text) <= MAX_NUMBER:
        raise UsageError(
            f"`x` is a fraction of {bits} bits",
            f"The text of a number may have {MAX_NUMBER:,} characters.",
            "rounding it outward to a float64",
        )
    return text


def text_to_number(s: object) -> float | Fraction:
    """The number of a text that `number_to_text` wrote; any other spelling is refused.

    Args:
        s: the text; whatever JSON held in its place is refused.

    Returns:
        A float for decimals and infinities, a Fraction for `"p/q"`.

    Raises:
        FileRejected: if `s` is not exactly what `number_to_text` writes for that number.
    """
    number: float | Fraction = math.nan
    # The lengths come first: no float64 needs more than 24 characters.
    if isinstance(s, str) and len(s) <= MAX_NUMBER:
        with suppress(ValueError):
            if _RATIONAL.fullmatch(s):
                p, q = s.split("/")
                number = Fraction(int(p), int(q))
            elif len(s) <= 24:
                number = float(s)
    # Written again and compared, so that exactly one text stands for each number.
    if number != number or number_to_text(number) != s:
        got = f"`{_show(s)}`" if isinstance(s, str) else f"a {type(s).__name__}"
        raise FileRejected(
            f"{got} is not a number as infsup writes it",
            'It is the shortest decimal of a float64, "p/q" in lowest terms, "inf" or "-inf".',
            "another copy of the file",
        )
    return number


# ------------------------------------------------------------------------------------------ writing


def describe(arrays: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """Dtype and shape of every array, as they stand in the document under `"arrays"`.

    Args:
        arrays: by name.

    Returns:
        `{name: [dtype name, shape]}`, sorted by name.
    """
    return {name: [x.dtype.name, list(x.shape)] for name, x in sorted(arrays.items())}


def write_folder(
    path: str | os.PathLike[str], document: dict[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Save a document and its arrays as one folder, whole or not at all.

    The three files are written and synced in a folder beside the target, which then takes the
    target's name in one step; an old folder of ours is exchanged with it and removed afterwards.
    Where the file system cannot exchange, the old folder steps aside for a moment; a reader looks
    for it there. What killed saves of this very target left behind is removed first; a folder that
    another save is writing is told by its lock (by its process where locks are missing) and stays.
    Equal input gives equal bytes. A symbolic link is followed: the folder it names is replaced.

    Args:
        path: the folder to make or to replace; its parent exists.
        document: what JSON can hold: dicts with text keys, lists, text, finite floats, integers of
            at most 20 digits, booleans, None. The key `"arrays"` is reserved.
        arrays: NumPy arrays by name: letters, digits and `_ . - [ ]` in segments joined by `/`.

    Raises:
        UsageError: the input cannot be stored, or `path` is a file or a folder that is not ours.
        SaveFailed: the system refused (no space, no permission, no such parent). An old folder is
            as it was, unless the fault came after the exchange; then the new one is in place.
    """
    shown, target = _target(path)
    plan = _plan(arrays)
    payload = _encode(document, arrays)
    header = _header(plan)
    try:
        _save(shown, target, payload, header, plan)
    except OSError as error:
        raise _save_failed(shown, target, error) from error


def _target(path: str | os.PathLike[str]) -> tuple[str, str]:
    try:
        given = os.fsdecode(os.fspath(path))
    except TypeError:
        given = ""
    if not given or "\0" in given:
        raise UsageError(
            f"`path` is {_show(repr(path))}", "It names the folder to save.", 'path="run"'
        )
    target = os.path.realpath(given)
    if not os.path.basename(target):
        raise UsageError(f"`path` is `{_show(given)}`", "The root is no solution.", 'path="run"')
    return _show(given, 200), target


def _plan(arrays: Mapping[str, np.ndarray]) -> list[tuple[str, str, np.ndarray]]:
    """The arrays in the order of the file: wide items first, so that each lies on its boundary."""
    if len(arrays) > MAX_COUNT:
        raise UsageError(
            f"`arrays` holds {len(arrays):,} arrays",
            f"A folder takes {MAX_COUNT:,}.",
            "stacking arrays of one shape",
        )
    plan = []
    for name, x in arrays.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(
                f"`arrays` has the name {_show(repr(name))}",
                "A name has up to 200 letters, digits, `_ . - [ ]` in segments joined by `/`; no "
                "segment begins with a dot or a bracket.",
                'a name like "layers/0/weight"',
            )
        if not isinstance(x, (np.ndarray, np.generic)) or isinstance(x, np.ma.MaskedArray):
            raise UsageError(
                f"`arrays[{name!r}]` is a {type(x).__name__}",
                "This layer stores NumPy arrays.",
                "np.asarray(x)",
            )
        code = _CODES.get(x.dtype.name)
        if code is None:
            raise UsageError(
                f"`arrays[{name!r}]` has dtype {_show(str(x.dtype))}",
                f"The file takes {', '.join(_CODES)}.",
                "real and imaginary part as two arrays" if x.dtype.kind == "c" else "x.astype(...)",
            )
        if x.ndim > MAX_AXES:
            raise UsageError(
                f"`arrays[{name!r}]` has {x.ndim} axes", f"The file takes {MAX_AXES}.", "x.ravel()"
            )
        plan.append((name, code, np.asarray(x).astype(_DTYPES[code], copy=False)))
    return sorted(plan, key=lambda entry: (-entry[2].dtype.itemsize, entry[0]))


def _encode(document: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    if not isinstance(document, dict):
        raise UsageError(f"`document` is a {type(document).__name__}", "", "a dict")
    if TABLE in document:
        raise UsageError(
            f'`document` has the key "{TABLE}"',
            "It is kept for dtype and shape of the arrays.",
            "another key",
        )
    whole = {**document, TABLE: describe(arrays)}
    payload, fault = b"", _fault_in_tree(whole)
    if not fault:
        text = json.dumps(whole, sort_keys=True, ensure_ascii=False, allow_nan=False)
        payload = text.encode("utf-8") + b"\n"
        if len(payload) > MAX_DOCUMENT:
            fault = f"takes {len(payload):,} bytes, more than {MAX_DOCUMENT:,}"
        elif _marks(payload) > MAX_MARKS:
            fault = f"holds more than {MAX_MARKS:,} commas and brackets"
    if fault:
        raise UsageError(
            f"`document` {fault}",
            "`read_folder` would refuse the file.",
            "arrays for numbers in bulk, text for numbers that JSON lacks",
        )
    return payload


def _header(plan: list[tuple[str, str, np.ndarray]]) -> bytes:
    entries, end = {}, 0
    for name, code, x in plan:
        begin, end = end, end + x.nbytes
        entries[name] = {"dtype": code, "shape": list(x.shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise UsageError(
            f"`arrays` needs a header of {len(text):,} bytes",
            f"The file takes {MAX_HEADER:,}.",
            "shorter names, or stacking arrays of one shape",
        )
    return struct.pack("<Q", len(text)) + text


def _array_pieces(header: bytes, plan: list[tuple[str, str, np.ndarray]]) -> Iterator[bytes]:
    yield header
    for _, code, x in plan:
        # A boolean array may be a view of any bytes; the reader takes 0 and 1 only.
        plain = np.ascontiguousarray(x.view(np.uint8) != 0 if code == "BOOL" else x)
        flat = plain.reshape(-1).view(np.uint8)
        for i in range(0, flat.size, _CHUNK):
            # A copy, so that digest and file agree even if somebody writes to the array meanwhile.
            yield flat[i : i + _CHUNK].tobytes()


def _emit(fd: int, pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(fd, rest) :]
    os.fsync(fd)
    return digest.hexdigest()


def _sums(document: str, arrays: str) -> bytes:
    return f"{document}  {DOCUMENT}\n{arrays}  {ARRAYS}\n".encode("ascii")


def _save(
    shown: str,
    target: str,
    payload: bytes,
    header: bytes,
    plan: list[tuple[str, str, np.ndarray]],
) -> None:
    parent, name = os.path.split(target)
    with _opened(parent, _FOLDER) as at:
        before = _overwritten(at, name, shown)
        # With the target missing, an `.old` folder may be all that there is: it stays until then.
        _sweep(at, name, spare_old=before is None)
        with _scratch(at, name) as (stem, folder, first):
            if before is not None and before.st_mode != os.fstat(folder).st_mode:
                # A folder that its owner closed to others must not open at the second save.
                os.fchmod(folder, stat.S_IMODE(before.st_mode) | stat.S_IRWXU)
            arrays_sum = _emit(first, _array_pieces(header, plan))
            with _opened(DOCUMENT, _FRESH, folder) as fd:
                document_sum = _emit(fd, [payload])
            with _opened(SUMS, _FRESH, folder) as fd:
                _emit(fd, [_sums(document_sum, arrays_sum)])
            _sync_folder(folder)
            _publish(at, name, stem, shown)
            _sync_folder(at)
        if before is None:
            _sweep(at, name, spare_old=False)


@contextmanager
def _opened(path: str, flags: int, at: int | None = None) -> Iterator[int]:
    fd = os.open(path, flags, 0o666, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)


def _sync_folder(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network file systems cannot sync a folder and say so; there is nothing better there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _overwritten(at: int, name: str, shown: str) -> os.stat_result | None:
    """What stands under the target's name: None, or a folder that may be replaced."""
    for _ in range(_TRIES):
        try:
            status = os.stat(name, dir_fd=at, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            raise UsageError(
                f"`{shown}` is a file",
                "A solution is a folder; no file is overwritten.",
                "a new name",
            )
        # Another save may replace and empty the folder while we look: then look again.
        with suppress(FileNotFoundError), _opened(name, _FOLDER | os.O_NOFOLLOW, at) as folder:
            held = set(os.listdir(folder))
            # An empty folder was made for this; anything else must be exactly what we write.
            if not held or (held == FILES and all(_is_file(folder, file) for file in held)):
                return os.fstat(folder)
            now = os.stat(name, dir_fd=at, follow_symlinks=False)
            if os.path.samestat(now, os.fstat(folder)):
                other = sorted(held - FILES)
                raise UsageError(
                    f"`{shown}` is not a saved solution: "
                    + (f"it holds `{_show(other[0])}`" if other else "its files are not the three"),
                    "Saving would remove what it holds.",
                    f"path={_show(os.path.join(shown, 'solution'), 220)!r}",
                )
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _is_file(folder: int, file: str) -> bool:
    return stat.S_ISREG(os.stat(file, dir_fd=folder, follow_symlinks=False).st_mode)


# Scratch folders: `.infsup-<target>-<host>-<pid>-<token>`, with `.new` while it is written and
# after the exchange, `.old` for the short time of an exchange in two steps.


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:length]


def _ours(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"\.infsup-{_digest(name, 12)}-(?P<host>[0-9a-f]{{8}})-(?P<pid>[0-9]{{1,10}})"
        r"-[0-9a-f]{16}\.(?P<kind>new|old)"
    )


@contextmanager
def _scratch(at: int, name: str) -> Iterator[tuple[str, int, int]]:
    """A folder that only this save touches, with the arrays' file open and locked in it.

    At the end its name is removed with what it then holds: a failed save or the exchanged folder.
    """
    for _ in range(_TRIES):
        host = _digest(os.uname().nodename, 8)
        stem = f".infsup-{_digest(name, 12)}-{host}-{os.getpid()}-{secrets.token_hex(8)}"
        with ExitStack() as stack:
            stack.callback(_clear, at, name, stem)
            os.mkdir(f"{stem}.new", dir_fd=at)
            try:
                folder = stack.enter_context(_opened(f"{stem}.new", _FOLDER | os.O_NOFOLLOW, at))
                first = stack.enter_context(_opened(ARRAYS, _FRESH, folder))
            except FileNotFoundError:
                continue
            # Between the folder and its lock, another save's sweep may take it: then begin again.
            if _lock(first) is not False and os.fstat(first).st_nlink > 0:
                yield stem, folder, first
                return
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _lock(fd: int) -> bool | None:
    """True: now ours until the file is closed. False: somebody else's. None: no locks here."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _publish(at: int, name: str, stem: str, shown: str) -> None:
    new, old = f"{stem}.new", f"{stem}.old"
    for _ in range(_TRIES):
        # Asked again, because the files took their time and the name may be somebody else's now.
        if _overwritten(at, name, shown) is None:
            try:
                os.rename(new, name, src_dir_fd=at, dst_dir_fd=at)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        else:
            try:
                if not _exchange(at, new, name):
                    os.rename(name, old, src_dir_fd=at, dst_dir_fd=at)
                    os.rename(new, name, src_dir_fd=at, dst_dir_fd=at)
                    # The old folder is rubbish from here on: a sweep may have been quicker.
                    with suppress(FileNotFoundError):
                        os.rename(old, new, src_dir_fd=at, dst_dir_fd=at)
                return
            except FileNotFoundError:
                # Another save was between its two steps.
                continue
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _exchange(at: int, a: str, b: str) -> bool:
    """Exchange two names of one folder in one step; False where system or file system cannot."""
    # Imported here, because a program that only reads has no use for it.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    swap = getattr(libc, "renameatx_np" if sys.platform == "darwin" else "renameat2", None)
    if swap is None:
        return False
    # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS have the same value.
    if swap(at, os.fsencode(a), at, os.fsencode(b), ctypes.c_uint(2)) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number))


def _clear(at: int, name: str, stem: str) -> None:
    try:
        # Succeeds only where an exchange in two steps was cut: a folder that holds files is never
        # replaced by a rename.
        os.rename(f"{stem}.old", name, src_dir_fd=at, dst_dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            _remove(at, f"{stem}.old")
    _remove(at, f"{stem}.new")


def _remove(at: int, entry: str) -> None:
    """Remove a folder of ours: the three files and the folder, never anything else in it."""
    # Twice, for a passing fault; what is left then is left to the next save.
    for _ in range(2):
        try:
            with _opened(entry, _FOLDER | os.O_NOFOLLOW, at) as folder:
                # The arrays' file last: it carries the lock.
                for file in (SUMS, DOCUMENT, ARRAYS):
                    with suppress(FileNotFoundError):
                        os.unlink(file, dir_fd=folder)
            os.rmdir(entry, dir_fd=at)
            return
        except FileNotFoundError:
            return
        except OSError:
            continue


def _sweep(at: int, name: str, *, spare_old: bool) -> None:
    """Remove what killed saves of this target left behind."""
    with suppress(OSError):
        ours = _ours(name)
        for match in filter(None, map(ours.fullmatch, os.listdir(at))):
            if not (spare_old and match["kind"] == "old"):
                with suppress(OSError):
                    _sweep_one(at, match)


def _sweep_one(at: int, match: re.Match[str]) -> None:
    with _opened(match[0], _FOLDER | os.O_NOFOLLOW, at) as folder:
        held = set(os.listdir(folder))
        if not held <= FILES:
            return
        if not held:
            # If this is a save just begun, it notices and begins again.
            os.rmdir(match[0], dir_fd=at)
        elif ARRAYS not in held:
            _remove(at, match[0])
        else:
            # Opened for writing, because locks over NFS need it; held until the files are gone.
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with _opened(ARRAYS, flags, folder) as first:
                lock = _lock(first)
                if lock or (lock is None and _dead(match)):
                    _remove(at, match[0])


def _dead(match: re.Match[str]) -> bool:
    if match["host"] != _digest(os.uname().nodename, 8):
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _save_failed(shown: str, target: str, error: OSError) -> SaveFailed:
    parent = _show(os.path.dirname(target), 200)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "freeing space, or a path on another disk"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"a folder that you may write to; `{parent}` is not"
    elif error.errno in (errno.ENOENT, errno.ENOTDIR):
        remedy = f"making the folder `{parent}` first"
    elif error.errno == errno.ENAMETOOLONG:
        remedy = "a shorter name"
    else:
        remedy = "again, or another path"
    reason = error.strerror or type(error).__name__
    failed = SaveFailed(f"`{shown}` could not be saved: {reason}", _OLD_OR_NEW, remedy)
    failed.errno = error.errno
    return failed


# ------------------------------------------------------------------------------------------ reading


def read_folder(
    path: str | os.PathLike[str], *, max_bytes: int = MAX_ARRAYS
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a folder that `write_folder` wrote, whole and unchanged, or refuse it.

    The folder is opened once and three fixed names are read relative to it; other entries are
    neither looked at nor followed. A hard link is a regular file like any other: what counts is
    that its bytes fit the checksums. A save that replaces the folder meanwhile is noticed, and the
    new folder is read instead.

    Args:
        path: the folder; a symbolic link to it is followed.
        max_bytes: the largest file of arrays that may be read into memory.

    Returns:
        The document as given to `write_folder`, and the arrays by name: read-only, native, bit for
        bit what was saved.

    Raises:
        FileRejected: for whatever is wrong with the folder; `what` names the file and the fault.
        UsageError: if `max_bytes` is not a natural number.
    """
    if type(max_bytes) is not int or max_bytes < 0:
        raise UsageError(f"`max_bytes` is {_show(repr(max_bytes))}", "", "max_bytes=8 * 2**30")
    try:
        given = os.fsdecode(os.fspath(path))
    except TypeError:
        given = "\0"
    shown = _show(given, 200)
    if "\0" in given or not given:
        raise FileRejected(f"`{_show(repr(path))}` is not the name of a folder", "", 'path="run"')
    for last in (*[False] * (_TRIES - 1), True):
        fd = _open_folder(given, shown)
        try:
            return _read(fd, shown, max_bytes)
        except FileRejected:
            if last or not _replaced(given, fd):
                raise
        except (MemoryError, OverflowError):
            raise _fault(shown, "needs more memory than there is", "a larger machine") from None
        finally:
            os.close(fd)
    raise AssertionError


def _open_folder(given: str, shown: str) -> int:
    try:
        # A save without a one-step exchange has the old folder aside for a moment; then back again.
        for look in (lambda: given, lambda: _aside(given), lambda: given):
            with suppress(FileNotFoundError):
                return os.open(look(), _FOLDER)
        raise _fault(shown, "does not exist", "the folder that was given to `save`")
    except NotADirectoryError:
        raise _fault(shown, "is not a folder", "the folder that holds the file") from None
    except OSError as error:
        raise _fault(shown, f"cannot be opened: {_reason(error)}") from None


def _aside(given: str) -> str:
    parent, name = os.path.split(os.path.realpath(given))
    ours = _ours(name)
    # Whatever is wrong with the parent, what the user asked for is not there.
    with suppress(OSError):
        for match in filter(None, map(ours.fullmatch, sorted(os.listdir(parent)))):
            if match["kind"] == "old":
                return os.path.join(parent, match[0])
    raise FileNotFoundError


def _replaced(given: str, fd: int) -> bool:
    try:
        return not os.path.samestat(os.stat(given), os.fstat(fd))
    except OSError:
        return True


def _read(folder: int, shown: str, max_bytes: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    def where(file: str) -> str:
        return os.path.join(shown, file)

    sums = _read_file(folder, SUMS, 4096, where(SUMS))
    payload = _read_file(folder, DOCUMENT, MAX_DOCUMENT, where(DOCUMENT))
    raw = _read_file(folder, ARRAYS, max_bytes, where(ARRAYS), "a larger `max_bytes`")
    _check_sums(sums, payload, raw, shown)
    document = _parse(payload, where(DOCUMENT))
    arrays = _parse_arrays(raw, where(ARRAYS))
    table = document.pop(TABLE, None)
    # Compared as text: in Python `1 == 1.0 == True`, in JSON they differ.
    if json.dumps(table, sort_keys=True) != json.dumps(describe(arrays), sort_keys=True):
        raise _fault(where(DOCUMENT), f"lists other arrays than {ARRAYS} holds")
    return document, arrays


def _read_file(folder: int, file: str, limit: int, where: str, remedy: str = "") -> bytes:
    try:
        fd = os.open(file, _FILE, dir_fd=folder)
    except FileNotFoundError:
        raise _fault(where, "is missing") from None
    except OSError as error:
        link = error.errno == errno.ELOOP
        fault = "is a symbolic link" if link else f"cannot be opened: {_reason(error)}"
        raise _fault(where, fault) from None
    try:
        # Asked before a file object is made: that one refuses a folder with an error of its own.
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _fault(where, "is not a regular file")
        if status.st_size > limit:
            fault = f"has {status.st_size:,} bytes, more than the limit of {limit:,}"
            raise _fault(where, fault, remedy)
        # One byte more than there should be shows growth; asking for the limit would allocate it.
        with os.fdopen(fd, "rb", closefd=False) as stream:
            raw = stream.read(status.st_size + 1)
    except OSError as error:
        raise _fault(where, f"cannot be read: {_reason(error)}") from None
    finally:
        os.close(fd)
    if len(raw) != status.st_size:
        raise _fault(where, "changed while it was read", "again")
    return raw


def _check_sums(sums: bytes, payload: bytes, raw: bytes, shown: str) -> None:
    document, arrays = (hashlib.sha256(part).hexdigest() for part in (payload, raw))
    if sums == _sums(document, arrays):
        return
    # For the message only: which of the two files differs, if the list itself can be read.
    for file, digest in ((DOCUMENT, document), (ARRAYS, arrays)):
        line = f"{digest}  {file}\n".encode("ascii")
        if line not in sums and f"  {file}\n".encode("ascii") in sums:
            raise _fault(os.path.join(shown, file), "does not match its checksum: it is damaged")
    raise _fault(os.path.join(shown, SUMS), "is damaged")


def _parse(raw: bytes, where: str) -> dict[str, Any]:
    """One JSON object, strictly: what `json.loads` lets pass beyond the standard is refused."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(items)
        if len(entries) != len(items):
            raise _fault(where, "has a key twice")
        return entries

    def constant(text: str) -> float:
        raise _fault(where, f"holds {text}, which is not JSON")

    def real(text: str) -> float:
        value = float(text) if len(text) <= 100 else math.inf
        if not math.isfinite(value):
            raise _fault(where, "holds a number out of range")
        return value

    def integer(text: str) -> int:
        if len(text) - text.startswith("-") > MAX_DIGITS:
            raise _fault(where, f"holds an integer of more than {MAX_DIGITS} digits")
        return int(text)

    # Counted before parsing: 16 MB of brackets would become gigabytes of lists.
    if _marks(raw) > MAX_MARKS:
        raise _fault(where, f"holds more than {MAX_MARKS:,} commas and brackets")
    try:
        tree = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_float=real,
            parse_int=integer,
        )
    except FileRejected:
        raise
    except UnicodeDecodeError:
        raise _fault(where, "is not UTF-8") from None
    except RecursionError:
        raise _fault(where, f"is nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise _fault(where, f"is not JSON ({_show(str(error))})") from None
    if type(tree) is not dict:
        raise _fault(where, "is not a JSON object")
    fault = _fault_in_tree(tree)
    if fault:
        raise _fault(where, fault)
    return tree


def _marks(raw: bytes) -> int:
    """An upper bound of the entries of a JSON text, at the speed of memory."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def _fault_in_tree(tree: dict[str, Any]) -> str:
    """What is wrong with a document, for the writer and the reader alike; "" if nothing is."""
    entries = 0
    level: list[Any] = [tree]
    # Level by level and not by recursion, so that no nesting can reach Python's own limit.
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in level:
            entries += len(node)
            if entries > MAX_ENTRIES:
                return f"holds more than {MAX_ENTRIES:,} entries"
            if isinstance(node, dict):
                for key in node:
                    fault = _fault_in_text(key) if isinstance(key, str) else "has a key not of text"
                    if fault:
                        return fault
                children: Iterable[Any] = node.values()
            else:
                children = node
            for value in children:
                if isinstance(value, (dict, list)):
                    below.append(value)
                elif fault := _fault_in_leaf(value):
                    return fault
        if not below:
            return ""
        level = below
    return f"is nested deeper than {MAX_DEPTH}"


def _fault_in_leaf(value: Any) -> str:
    if isinstance(value, str):
        return _fault_in_text(value)
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return "" if abs(value) < 10**MAX_DIGITS else f"holds an integer above {MAX_DIGITS} digits"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"holds {value!r}, which is not JSON"
    return f"holds a {type(value).__name__}, which is not JSON"


def _fault_in_text(text: str) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return "holds text that is not Unicode (a lone surrogate)"
    return ""


def _parse_arrays(raw: bytes, where: str) -> dict[str, np.ndarray]:
    if len(raw) < 8:
        raise _fault(where, "is cut off")
    (length,) = struct.unpack("<Q", raw[:8])
    if length > MAX_HEADER or length > len(raw) - 8:
        raise _fault(where, f"claims a header of {length:,} bytes")
    header = _parse(raw[8 : 8 + length], where)
    if len(header) > MAX_COUNT:
        raise _fault(where, f"holds {len(header):,} arrays, more than {MAX_COUNT:,}")
    body = len(raw) - 8 - length
    spans = sorted(_span(name, entry, body, where) for name, entry in header.items())
    arrays, position = {}, 0
    for begin, end, name, code, shape in spans:
        if begin != position:
            raise _fault(where, f"has a gap or an overlap before `{name}`")
        position = end
        dtype = _DTYPES[code]
        count = (end - begin) // dtype.itemsize
        flat = np.frombuffer(raw, np.uint8, end - begin, 8 + length + begin)
        if code == "BOOL" and flat.max(initial=0) > 1:
            raise _fault(where, f"has a byte in `{name}` that is neither true nor false")
        array = np.frombuffer(raw, dtype, count, 8 + length + begin).reshape(shape)
        if not array.flags.aligned or not dtype.isnative:
            array = array.astype(dtype.newbyteorder("="))
            array.flags.writeable = False
        arrays[name] = array
    if position != body:
        raise _fault(where, f"has {body - position:,} bytes left over")
    return dict(sorted(arrays.items()))


def _span(
    name: str, entry: Any, body: int, where: str
) -> tuple[int, int, str, str, tuple[int, ...]]:
    if not _NAME.fullmatch(name):
        raise _fault(where, f"names an array `{_show(name)}`")
    if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _fault(where, f"has other fields than dtype, shape and offsets for `{name}`")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(code) is not str or code not in _DTYPES:
        raise _fault(where, f"has a dtype for `{name}` that is not allowed")
    if not _naturals(shape) or len(shape) > MAX_AXES:
        raise _fault(where, f"has no valid shape for `{name}`")
    if not _naturals(offsets) or len(offsets) != 2:
        raise _fault(where, f"has no valid offsets for `{name}`")
    size = _DTYPES[code].itemsize
    # NumPy multiplies the other axes even if one is empty, and so must fit its index.
    if math.prod(n or 1 for n in shape) * size >= 2**63:
        raise _fault(where, f"has no valid shape for `{name}`")
    begin, end = offsets
    if end > body or end - begin != math.prod(shape) * size:
        raise _fault(where, f"has offsets for `{name}` that do not fit its shape")
    return begin, end, name, code, tuple(shape)


def _naturals(values: Any) -> bool:
    # `type(...) is int` and not isinstance: True is an int to Python.
    return type(values) is list and all(type(n) is int and n >= 0 for n in values)


def _fault(where: str, fault: str, remedy: str = "") -> FileRejected:
    return FileRejected(
        f"`{where}` {fault}", "Nothing was loaded.", remedy or "another copy, or saving it again"
    )


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _show(text: str, limit: int = 60) -> str:
    """Text of a stranger on one line, short, without control characters."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
