"""Checkpoints that are written whole or not at all, and which of them was written last."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmengine.fileio import LocalBackend

from mspose_plugin.utils.files import TEMPORARY, write_atomically


class AtomicLocalBackend(LocalBackend):
    """mmengine's local back-end, except that a file appears whole or not at all.

    ``put`` and ``put_text`` write beside the target, flush to disk and rename; a process killed
    half-way leaves the previous file as it was.
    """

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write bytes to ``filepath`` as :func:`write_atomically` does."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to ``filepath`` as :meth:`put` does."""
        self.put(obj.encode(encoding), filepath)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what a killed process left of the checkpoints it was writing to ``folder``."""
    for name in ('*.pth', 'last_checkpoint'):
        for path in Path(folder).glob(TEMPORARY.format(name=name, writer='*')):
            path.unlink(missing_ok=True)


def find_latest_checkpoint(work_dir: str | os.PathLike) -> str | None:
    """Return the last finished checkpoint of a work directory.

    That is the one that ``last_checkpoint`` names, or a later one where the process was killed
    before it could write that name; the newest where the named one is gone. mmengine's function of
    this name returns what the file says, also where it is empty or the work directory was moved.

    Args:
        work_dir: where the run keeps its files.

    Returns:
        Its path, or None.
    """
    pointer = Path(work_dir, 'last_checkpoint')
    text = pointer.read_text(errors='replace').strip() if pointer.is_file() else ''
    places = (Path(text), Path(work_dir, Path(text).name)) if text else ()
    named = next((path for path in places if os.path.isfile(path)), None)  # no name is too odd
    if named is None:
        found = [*Path(work_dir).glob('epoch_*.pth'), *Path(work_dir).glob('iter_*.pth')]
        latest = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
        return str(latest) if latest else None
    # both later and further: neither what an earlier run left here, nor copied out of order
    written, step = pointer.stat().st_mtime_ns, _step(named)
    later = [
        path
        for path in named.parent.glob(re.sub(r'\d+(?=\.pth$)', '*', named.name))
        if path.stat().st_mtime_ns > written and _step(path) > step
    ]
    return str(max(later, key=_step, default=named))


def _step(path: Path) -> int:
    """The number at the end of a checkpoint's name, or -1."""
    digits = re.search(r'(\d+)\.pth$', path.name)
    return int(digits[1]) if digits else -1
