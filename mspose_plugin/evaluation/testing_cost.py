"""What conditional and multi-scale testing cost, as an evaluator beside the accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS

from mspose_plugin.utils.checks import check

_NO_COUNTS = (
    "TestingCost needs model.type='ConditionalTopdownPoseEstimator' with test_cfg.conditional or "
    'test_cfg.multi_scale'
)


@METRICS.register_module()
class TestingCost(BaseMetric):
    """Mean number of trials and of network passes for a person.

    Keys: ``trials`` (extra estimates for a person, mean), ``passes`` (images through the network
    for a person, mean, flipped ones included), ``retried`` (share of persons with a trial, in
    percent). Use it with ``ConditionalTopdownPoseEstimator``, beside other evaluators.
    """

    __test__ = False  # no test case, whatever pytest thinks of its name
    default_prefix = 'cost'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the counts of a batch.

        Raises:
            InputError: predictions without counts.
        """
        for sample in data_samples:
            pred = sample['pred_instances']
            check('num_trials' in pred, _NO_COUNTS)
            self.results.append((int(pred['num_trials'][0]), int(pred['num_passes'][0])))

    def compute_metrics(self, results: list[tuple[int, int]]) -> dict[str, float]:
        """Return the means over all persons."""
        trials, passes = np.asarray(results, dtype=float).reshape(-1, 2).T
        return dict(trials=trials.mean(), passes=passes.mean(), retried=100 * (trials > 0).mean())
