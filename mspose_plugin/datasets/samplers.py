"""Which persons of a data set a run sees."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class RandomPersons(DefaultSampler):
    """The same random persons of a data set in every run, each once.

    Args:
        dataset: the data set.
        count: how many persons; all if there are fewer.
        seed: of the random choice. Default: 0.
    """

    def __init__(self, dataset: Sized, count: int, seed: int = 0) -> None:
        """Choose the persons."""
        super().__init__(dataset, shuffle=False, round_up=False, seed=seed)
        self.chosen = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:count])

    def __iter__(self) -> Iterator[int]:
        """Iterate over this process's share."""
        return iter(self.chosen[self.rank :: self.world_size].tolist())

    def __len__(self) -> int:
        """Return the size of this process's share."""
        return len(self.chosen[self.rank :: self.world_size])
