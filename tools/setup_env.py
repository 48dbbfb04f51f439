"""Set up one part of the environment, and mark it when it is complete.

The Makefile calls this for each marker that is missing or out of date. It needs a Python and
nothing else: no pip, no ensurepip.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BACKEND = ["hatchling", "editables"]


def main():
    if sys.version_info < (3, 11):  # noqa: UP036, it may well be called by an older one
        sys.exit(
            f"infsup needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}. "
            "Name another one:  make PY=python3.12"
        )
    import fcntl  # here, so that the line above is what an old Python on Windows sees

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--venv", default=".venv")
    options.add_argument("--part", default="core", help="core, a dependency group or an extra")
    options.add_argument("--wheels", help="a folder to install from, instead of the network")
    options.add_argument("--lock", action="store_true", help="rebuild the constraints")
    arguments = options.parse_args()
    os.chdir(ROOT)
    # Two makes at the same time set up one after the other.
    with open(__file__) as this:
        try:
            fcntl.flock(this, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another make, which is setting up", flush=True)
            fcntl.flock(this, fcntl.LOCK_EX)
        if arguments.lock:
            lock()
        else:
            set_up(pathlib.Path(arguments.venv), arguments.part, arguments.wheels)


def set_up(venv, part, wheels):
    python = venv / "bin" / "python"
    unfinished = venv / ".unfinished"
    requirements(part)  # an unknown name stops here
    state = digest()
    started = time.monotonic()

    adding = usable(venv)
    if adding:
        if read(venv / f".ready-{part}") == state:
            (venv / f".ready-{part}").touch()  # only times had changed
            return
        print(f"Setting up {venv}: {part}", flush=True)
        parts = {part}
        unfinished.touch()
    else:
        size = "about a minute and 0.8 GB"
        print(f"Setting up {venv} with Python {sys.version.split()[0]}: {size}", flush=True)
        # What had been there comes back too: make may already have seen those markers.
        had = {marker.name.removeprefix(".ready-") for marker in venv.glob(".ready-*")}
        parts = {"core", part} | had & optional_parts().keys()
        make_venv(venv)

    wanted = sorted({line for name in parts for line in requirements(name)})
    if not install(python, wanted, wheels):
        if adding:
            unfinished.unlink()  # what was there still works
        sys.exit(
            "The packages could not be installed; pip's own words are above. Where the network is "
            "missing, make WHEELS=folder takes them from a folder (see CONTRIBUTING.md)."
        )
    # Without isolation the link to src needs no network, however often pyproject.toml changes.
    link = ["install", "--no-deps", "--no-build-isolation", "-e", "."]
    if "core" in parts and not pip(python, *link):
        sys.exit("infsup itself could not be installed; pip says why above.")
    write(venv / ".made-at", f"{ROOT} {os.path.realpath(python)}")
    unfinished.unlink()
    for name in parts:
        write(venv / f".ready-{name}", state)
    print(f"Set up in {time.monotonic() - started:.1f} s", flush=True)


def usable(venv):
    """Whether packages can be added to what stands there. A half-made one is never mended."""
    if (venv / ".unfinished").exists():
        return False
    python = venv / "bin" / "python"
    here = f"{ROOT} {os.path.realpath(python)}"
    if read(venv / ".made-at") not in (None, here):
        return False  # a moved clone: scripts and the link to src name the old place
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    made_with = re.search(
        r"^version(?:_info)? *= *(\d+\.\d+)", read(venv / "pyvenv.cfg") or "", re.M
    )
    if made_with is None or made_with[1] != version:
        return False
    return succeeds([python, "-m", "pip", "--version"])


def make_venv(venv):
    """Make an empty environment with pip in it, on any machine.

    The pip comes from the wheel beside this file: Debian's python3 has neither ensurepip nor pip.
    """
    shutil.rmtree(venv, ignore_errors=True)
    venv.mkdir(parents=True)
    (venv / ".unfinished").touch()
    run([sys.executable, "-m", "venv", "--without-pip", venv])
    (wheel,) = ROOT.glob("tools/pip-*.whl")
    python = venv / "bin" / "python"
    run([python, wheel / "pip", "install", "-qq", "--no-index", wheel])


def install(python, wanted, wheels=None):
    source = ["--no-index", "--find-links", wheels] if wheels else ["--retries", "1"]
    file = constraints()
    pins = ["--constraint", file] if file.exists() else []
    return pip(python, "install", *source, *pins, *wanted)


def pip(python, *arguments):
    return succeeds([python, "-m", "pip", "-qq", *arguments], show=True)


def project():
    import tomllib  # not in Python 3.10

    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def optional_parts():
    data = project()
    return {**data["project"]["optional-dependencies"], **data["dependency-groups"]}


def requirements(part):
    """What a part needs; with the core each time, so that pip sees all its bounds."""
    parts = {"core": [], **optional_parts()}
    if part not in parts:
        sys.exit(f"EXTRA={part} is none of: {', '.join(optional_parts())}")
    return [*project()["project"]["dependencies"], *parts[part], *BACKEND]


def constraints():
    """The versions are those of one Python: numpy's newest differs between 3.11 and 3.12."""
    return ROOT / f"constraints-{sys.version_info.major}.{sys.version_info.minor}.txt"


def digest():
    files = [ROOT / "pyproject.toml", constraints()]
    return hashlib.sha256(b"\0".join(f.read_bytes() for f in files if f.exists())).hexdigest()


def lock():
    """Write the newest versions of everything but CUDA, which jax itself pins."""
    if sys.version_info[:2] != (3, 11):
        sys.exit("The constraints are those of Python 3.11:  make lock PY=python3.11")
    parts = [part for part in optional_parts() if "cuda" not in part]
    wanted = sorted({line for part in parts for line in requirements(part)})
    with tempfile.TemporaryDirectory() as folder:
        venv = pathlib.Path(folder) / "venv"
        python = venv / "bin" / "python"
        make_venv(venv)
        if not pip(python, "install", *wanted):
            sys.exit("The packages could not be installed; pip says why above.")
        frozen = run([python, "-m", "pip", "freeze"], stdout=subprocess.PIPE).stdout
    lines = frozen.splitlines()
    for line in lines:
        if not re.fullmatch(r"[\w.-]+==[\w.]+", line):
            sys.exit(f"not a plain version: {line}")
    header = "# Written by `make lock`: what `make` installs on Python 3.11, all extras but CUDA.\n"
    write(constraints(), header + frozen)
    print(f"{constraints().name}: {len(lines)} packages")


def run(command, **options):
    # A PYTHONPATH of the user's would make pip believe that packages are there already.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    return subprocess.run(
        [str(word) for word in command],
        check=options.pop("check", True),
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        **options,
    )


def succeeds(command, show=False):
    quiet = {} if show else {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return run(command, check=False, **quiet).returncode == 0
    except OSError:
        return False


def read(path):
    try:
        return path.read_text()
    except OSError:
        return None


def write(path, text):
    """All or nothing."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(f"failed: {' '.join(error.cmd)}")
