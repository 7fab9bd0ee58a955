"""Renders whole data sets, on several processes, without ever leaving half of one behind."""

from __future__ import annotations

import fcntl
import glob
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mspose_plugin.synthetic.layouts import LAYOUTS
from mspose_plugin.synthetic.params import DIFFICULTIES, FRAMINGS
from mspose_plugin.synthetic.scene import render_scene

GENERATOR = 'mspose_plugin.synthetic'
VERSION = 1  # of the generator: rises when the same arguments give other pictures
SPLITS = ('train', 'val')
LOCK = 'made-by-make_synthetic'  # held while a temporary folder is in use
_CHUNK = 32


@dataclass(frozen=True)
class Recipe:
    """Everything that a data set's bytes depend on.

    Args:
        layout: A key of `LAYOUTS`.
        train: Number of training images.
        val: Number of validation images.
        seed: Seed of all randomness, not negative.
        difficulty: A key of `DIFFICULTIES`.
        size: Image width and height in pixels; None for the layout's default.
        quality: JPEG quality, 1 to 100.

    Raises:
        ValueError: If a value is out of range; the message names it.
    """

    layout: str
    train: int
    val: int
    seed: int = 0
    difficulty: str = 'normal'
    size: tuple[int, int] | None = None
    quality: int = 90

    def __post_init__(self) -> None:
        """Check the values and fill in the default size."""
        if self.layout not in LAYOUTS:
            raise ValueError(f'layout must be one of {", ".join(LAYOUTS)}, got {self.layout!r}')
        if self.difficulty not in DIFFICULTIES:
            names = ', '.join(DIFFICULTIES)
            raise ValueError(f'difficulty must be one of {names}, got {self.difficulty!r}')
        if self.train < 0 or self.val < 0 or self.train + self.val == 0:
            raise ValueError(
                f'train and val must not be negative nor both 0, got {self.train} and {self.val}'
            )
        if self.seed < 0:
            raise ValueError(f'seed must not be negative, got {self.seed}')
        if not 1 <= self.quality <= 100:
            raise ValueError(f'quality must lie in 1..100, got {self.quality}')
        if self.size is None:
            object.__setattr__(self, 'size', FRAMINGS[self.layout].size)
        if not all(32 <= side <= 4096 for side in self.size):
            raise ValueError(f'size must lie in 32..4096 pixels, got {self.size}')

    def manifest(self) -> dict[str, Any]:
        """Return the content of synthetic.json."""
        return {'generator': GENERATOR, 'version': VERSION, **asdict(self)}


def make_image(recipe: Recipe, split: str, index: int) -> tuple[bytes, dict[str, Any]]:
    """Render, annotate and encode one image; a function of its arguments only.

    Args:
        recipe: The data set.
        split: 'train' or 'val'.
        index: Number of the image within the split, from 0.

    Returns:
        The JPEG file's bytes and the layout's record.
    """
    branch = SPLITS.index(split)
    rng = np.random.default_rng(np.random.SeedSequence([recipe.seed, branch, index]))
    scene = render_scene(
        rng,
        FRAMINGS[recipe.layout],
        DIFFICULTIES[recipe.difficulty],
        recipe.size,
        pool=(recipe.seed, branch),
    )
    record = LAYOUTS[recipe.layout].annotate(scene, split, index, rng)
    _, data = cv2.imencode('.jpg', scene.image, [cv2.IMWRITE_JPEG_QUALITY, recipe.quality])
    return data.tobytes(), record


def _make_chunk(recipe: Recipe, root: str, task: tuple[str, range]) -> list[dict[str, Any]]:
    split, indices = task
    layout, records = LAYOUTS[recipe.layout], []
    for index in indices:
        data, record = make_image(recipe, split, index)
        with open(f'{root}/{layout.image_file(split, index)}', 'wb') as file:
            file.write(data)
        records.append(record)
    return records


def _run(work: Callable, tasks: list, workers: int) -> Iterator[list[dict[str, Any]]]:
    if workers <= 1:
        cv2.setNumThreads(1)
        yield from map(work, tasks)
        return
    with multiprocessing.Pool(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.imap(work, tasks)


def check_replaceable(out: Path, overwrite: bool) -> None:
    """Refuse a folder that a data set must not take the place of.

    Args:
        out: The folder, resolved.
        overwrite: Whether a data set that this module wrote may be replaced.

    Raises:
        FileExistsError: If `out` is a file, the working folder or one above it, holds anything
            but a synthetic data set, or holds one and `overwrite` is false.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise FileExistsError(f'{out} is a file; name a new folder')
    if Path.cwd().is_relative_to(out):
        raise FileExistsError(f'{out} is the working folder or above it; name a new folder')
    if not any(out.iterdir()):
        return
    try:
        ours = json.loads((out / 'synthetic.json').read_text())['generator'] == GENERATOR
    except (OSError, ValueError, LookupError, TypeError):
        ours = False
    if not ours:
        raise FileExistsError(
            f'{out} holds other files than a synthetic data set; name a new folder'
        )
    if not overwrite:
        raise FileExistsError(f'{out} holds a synthetic data set; --overwrite replaces it')


def remove_unfinished(out: Path) -> None:
    """Remove the temporary folders that killed runs for `out` left beside it."""
    for lock in out.parent.glob(f'.{glob.escape(out.name)}-*/{LOCK}'):
        try:
            with open(lock, 'a') as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:
            continue  # of a run that is still at work, or somebody else's


def write_dataset(
    recipe: Recipe,
    out: Path,
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[Iterable, int], Iterable] | None = None,
) -> None:
    """Render a data set into a folder that appears only when it is complete.

    Args:
        recipe: What to render.
        out: The folder; it must not exist, be empty or, with `overwrite`, hold a synthetic data
            set.
        workers: Number of processes.
        overwrite: Whether to replace a synthetic data set.
        progress: Called with the iterable over chunks and the number of images; must yield the
            chunks (a progress bar).

    Raises:
        FileExistsError: As :func:`check_replaceable`.
        ValueError: If `workers` is below 1.
    """
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    out = Path(out).resolve()
    check_replaceable(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(out)
    layout = LAYOUTS[recipe.layout]
    counts = dict(zip(SPLITS, (recipe.train, recipe.val), strict=True))
    tasks = [
        (split, range(start, min(start + _CHUNK, count)))
        for split, count in counts.items()
        for start in range(0, count, _CHUNK)
    ]
    with (
        tempfile.TemporaryDirectory(prefix=f'.{out.name}-', dir=out.parent) as temporary,
        open(Path(temporary) / LOCK, 'w') as lock,
    ):
        fcntl.lockf(lock, fcntl.LOCK_EX)  # ends with this process, however it ends
        root = Path(temporary) / out.name
        for split in SPLITS:
            Path(root, layout.image_file(split, 0)).parent.mkdir(parents=True, exist_ok=True)
        chunks: Iterable = _run(partial(_make_chunk, recipe, str(root)), tasks, workers)
        if progress is not None:
            chunks = progress(chunks, recipe.train + recipe.val)
        records: dict[str, list] = {split: [] for split in SPLITS}
        for (split, _), chunk in zip(tasks, chunks, strict=True):
            records[split] += chunk
        layout.finish(root, records)
        (root / 'synthetic.json').write_text(json.dumps(recipe.manifest(), indent=2) + '\n')
        check_replaceable(out, overwrite)  # it took a while
        if out.is_dir():
            out.rename(Path(temporary) / 'replaced')  # goes with the temporary folder
        root.rename(out)
