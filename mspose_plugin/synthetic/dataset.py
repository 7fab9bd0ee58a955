"""Whole data sets, rendered in several processes; a folder appears only when it is complete."""

from __future__ import annotations

import fcntl
import glob
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mspose_plugin.synthetic.annotation_writers import WRITERS
from mspose_plugin.synthetic.scene import render_scene
from mspose_plugin.synthetic.settings import DIFFICULTIES, FRAMINGS, Difficulty
from mspose_plugin.utils.checks import check, check_choice, check_number, check_value
from mspose_plugin.utils.files import write_json

GENERATOR = 'mspose_plugin.datasets.synthetic'  # stays: it marks the folders that may be replaced
VERSION = 1  # of the generator: rises when the same arguments give other pictures
SPLITS = ('train', 'val')
LOCK = 'made-by-make_synthetic'  # held while a temporary folder is in use
_CHUNK = 32


@dataclass(frozen=True)
class Recipe:
    """Everything that a data set's bytes depend on.

    Args:
        layout: the data set whose format is written, a key of :data:`WRITERS`.
        train: number of training images.
        val: number of validation images.
        seed: seed of all randomness, not negative. Default: 0.
        difficulty: a key of :data:`DIFFICULTIES`. Default: ``'normal'``.
        size: image width and height in pixels, 32 to 4096. Default: those of the layout.
        quality: JPEG quality, 1 to 100. Default: 90.
        changes: settings of a :class:`~mspose_plugin.synthetic.settings.Difficulty` that are
            other than the difficulty's, by name. Default: none.

    Raises:
        InputError: a value is out of range; the message names it.
    """

    layout: str
    train: int
    val: int
    seed: int = 0
    difficulty: str = 'normal'
    size: tuple[int, int] | None = None
    quality: int = 90
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values and fill in the default size."""
        check_choice('layout', self.layout, WRITERS)
        check_choice('difficulty', self.difficulty, DIFFICULTIES)
        for name, low, high in (
            ('train', 0, inf),
            ('val', 0, inf),
            ('seed', 0, inf),
            ('quality', 1, 100),
        ):
            check_number(name, getattr(self, name), low, high, whole=True)
        check(self.train + self.val, 'train=0, val=0: expected at least one image')
        size = self.size or FRAMINGS[self.layout].size
        check_value(min(size) >= 32 and max(size) <= 4096, 'size', size, '32 to 4096 pixels')
        object.__setattr__(self, 'size', size)
        _ = self.settings  # refuses changes that do not fit

    @property
    def settings(self) -> Difficulty:
        """The difficulty's settings with their changes."""
        return DIFFICULTIES[self.difficulty].changed(self.changes)

    def manifest(self) -> dict[str, Any]:
        """Return the content of synthetic.json."""
        values = asdict(self)
        if not values['changes']:
            del values['changes']  # as in the files of versions that had none
        return {'generator': GENERATOR, 'version': VERSION, **values}


def make_image(recipe: Recipe, split: str, index: int) -> tuple[bytes, dict[str, Any]]:
    """Render, annotate and encode one image; a function of its arguments only.

    Args:
        recipe: the data set.
        split: ``'train'`` or ``'val'``.
        index: number of the image within the split, from 0.

    Returns:
        The bytes of the JPEG file, and what :meth:`AnnotationWriter.annotate` returns.
    """
    branch = SPLITS.index(split)
    rng = np.random.default_rng(np.random.SeedSequence([recipe.seed, branch, index]))
    scene = render_scene(
        rng,
        FRAMINGS[recipe.layout],
        recipe.settings,
        recipe.size,
        pool=(recipe.seed, branch),
    )
    record = WRITERS[recipe.layout].annotate(scene, split, index, rng)
    _, data = cv2.imencode('.jpg', scene.image, [cv2.IMWRITE_JPEG_QUALITY, recipe.quality])
    return data.tobytes(), record


def _make_chunk(recipe: Recipe, root: str, task: tuple[str, range]) -> list[dict[str, Any]]:
    split, indices = task
    writer, records = WRITERS[recipe.layout], []
    for index in indices:
        data, record = make_image(recipe, split, index)
        with open(f'{root}/{writer.image_file(split, index)}', 'wb') as file:
            file.write(data)
        records.append(record)
    return records


def _run(work: Callable, tasks: list, workers: int) -> Iterator[list[dict[str, Any]]]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a forked process waits for ever for the threads that OpenCV had here
    try:
        if workers <= 1:
            yield from map(work, tasks)
            return
        # unlike multiprocessing.Pool, it does not wait for ever for a process that was killed
        with ProcessPoolExecutor(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            try:
                yield from pool.map(work, tasks)
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        cv2.setNumThreads(threads)


def check_replaceable(out: Path, overwrite: bool) -> None:
    """Refuse a folder that a data set must not replace.

    Args:
        out: the folder, resolved.
        overwrite: a data set that this module wrote may be replaced.

    Raises:
        InputError: ``out`` is a file, the working folder or one above it, holds anything but a
            synthetic data set, or holds one and ``overwrite`` is False.
    """
    if not out.exists():
        return
    check(out.is_dir(), f'{out} is a file; name a new folder')
    within = Path.cwd().is_relative_to(out)
    check(not within, f'{out} is the working folder or above it; name a new folder')
    if not any(out.iterdir()):
        return
    try:
        ours = json.loads((out / 'synthetic.json').read_text())['generator'] == GENERATOR
    except (OSError, ValueError, LookupError, TypeError):
        ours = False
    check(ours, f'{out} holds other files than a synthetic data set; name a new folder')
    check(overwrite, f'{out} holds a synthetic data set; --overwrite replaces it')


def remove_unfinished(out: Path) -> None:
    """Remove the temporary folders that killed runs for ``out`` left beside it."""
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
        recipe: what to render.
        out: the folder; it must not exist, or be empty, or, with ``overwrite``, hold a synthetic
            data set.
        workers: number of processes. Default: 1.
        overwrite: replace a synthetic data set. Default: False.
        progress: called with an iterable over the chunks of records and the number of images;
            has to yield the chunks (a progress bar). Default: None.

    Raises:
        InputError: as :func:`check_replaceable`, or ``workers`` is below 1.
    """
    check_number('workers', workers, 1, whole=True)
    out = Path(out).resolve()
    check_replaceable(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(out)
    writer = WRITERS[recipe.layout]
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
            Path(root, writer.image_file(split, 0)).parent.mkdir(parents=True, exist_ok=True)
        chunks: Iterable = _run(partial(_make_chunk, recipe, str(root)), tasks, workers)
        if progress is not None:
            chunks = progress(chunks, recipe.train + recipe.val)
        records: dict[str, list] = {split: [] for split in SPLITS}
        for (split, _), chunk in zip(tasks, chunks, strict=True):
            records[split] += chunk
        writer.finish(root, records)
        write_json(root / 'synthetic.json', recipe.manifest(), indent=2)
        check_replaceable(out, overwrite)  # it took a while
        if out.is_dir():
            out.rename(Path(temporary) / 'replaced')  # goes with the temporary folder
        root.rename(out)
