"""Options of conditional testing from a validation set, with what they gain and cost.

Ke et al. (ECCV 2018, §4.1) take tau_c and tau_s from the validation set and note that conditional
testing may reduce accuracy. :class:`ThresholdCalibration` therefore proceeds in three steps:

1. The model tries every perturbation on every person, and the trials are recorded.
2. On a random half of the images :mod:`mspose_plugin.evaluation.threshold_search` finds the options
   that gain most.
3. The other, held-out half decides: the options are accepted if accuracy rises there, too.
   Otherwise thresholds of 0 are written, which means that every person is tested once.

Accuracy is the data set's own: PCKh on MPII, PCK on FLIC, and on COCO the mean object keypoint
similarity (OKS) of the persons, on which AP is based.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.evaluation import CocoMetric
from mmpose.registry import METRICS
from mmpose.utils.tensor_utils import to_numpy

from mspose_plugin.evaluation.measures import PckMeasure, SimilarityMeasure
from mspose_plugin.evaluation.metrics import PckMetric
from mspose_plugin.evaluation.threshold_search import AIMS, CERTAINTY, Recording, Search
from mspose_plugin.utils.checks import check, check_choice, check_value
from mspose_plugin.utils.files import write_json

NOT_FOR_METRICS = ('gt_fields', 'pred_fields', 'gt_instance_labels')


@METRICS.register_module()
class ThresholdCalibration(BaseMetric):
    """Write the file that ``test_cfg.conditional.thresholds`` takes.

    The model must have tried every perturbation for every person (``test_cfg.output_trials``).
    Options are accepted if accuracy rises on the half they were found on (by ``CERTAINTY``
    standard errors) and on the held-out half, on both with a bootstrap interval over images above
    0, and if the evaluator's own figure of all persons does not fall. Otherwise all thresholds are
    0, and ``verdict`` says why.

    Keys, on the held-out half: ``gain`` in points, ``gain_low`` and ``gain_high`` (its interval),
    ``passes`` (network passes of a person, mean), ``retried`` (percentage of persons).

    Args:
        evaluator: config of the data set's evaluator (or a list, of which the first known one
            counts): ``PCKhAUC``, ``FlicPCK``, ``BoxPCK`` or a ``CocoMetric``.
        out_file: JSON file to write, whole or not at all.
        perturbations: ``[P, 3]``, those that were tried.
        aim: of :class:`Search`. Default: ``'per-pass'``.
        max_passes: of :class:`Search`. Default: no limit.
        confidence: of the intervals. Default: 0.95.
        seed: of halves and intervals. Default: 0.
        sampled: these are not all persons of the annotation file; COCO's AP, which needs all of
            them, is then left out. Default: False.
        provenance: further entries for the file. Default: None.
        collect_device: as for mmengine's metrics. Default: ``'cpu'``.

    Raises:
        InputError: a value that is not as described.
    """

    default_prefix = 'calibration'

    def __init__(
        self,
        evaluator: dict | Sequence[dict],
        out_file: str,
        perturbations: Sequence[Sequence[float]],
        aim: str = 'per-pass',
        max_passes: float | None = None,
        confidence: float = 0.95,
        seed: int = 0,
        sampled: bool = False,
        provenance: Mapping[str, Any] | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        """Check the arguments; see the class."""
        super().__init__(collect_device=collect_device)
        check_choice('aim', aim, AIMS)
        check_value(0 < confidence < 1, 'confidence', confidence, 'a number between 0 and 1')
        self.aim, self.max_passes = aim, np.inf if max_passes is None else max_passes
        self.confidence, self.seed, self.sampled = confidence, seed, sampled
        self.out_file, self.provenance = out_file, dict(provenance or {})
        self.perturbations = np.asarray(perturbations, dtype=float)
        evaluators = evaluator if isinstance(evaluator, Sequence) else [evaluator]
        kinds = [
            METRICS.get(e['type']) if isinstance(e['type'], str) else e['type'] for e in evaluators
        ]
        known = [
            (e, kind)
            for e, kind in zip(evaluators, kinds)
            if kind is not None and issubclass(kind, (PckMetric, CocoMetric))
        ]
        names = ', '.join(str(e['type']) for e in evaluators) or 'is empty'
        wanted = 'PCKhAUC, FlicPCK, BoxPCK or CocoMetric'
        check(known, f'val_evaluator {names}: calibration needs {wanted}')
        self.evaluator, self.is_pck = dict(known[0][0]), issubclass(known[0][1], PckMetric)
        for output in ('curve_file', 'persons_file', 'outfile_prefix', 'format_only'):
            self.evaluator.pop(output, None)
        self._measure: PckMeasure | SimilarityMeasure | None = None

    @property
    def measure(self) -> PckMeasure | SimilarityMeasure:
        """How accurate a keypoint is; known once the data set's metainfo is."""
        if self._measure is None:
            if self.is_pck:
                metric = METRICS.build(self.evaluator)
                metric.dataset_meta = self.dataset_meta
                self._measure = PckMeasure(metric)
            else:
                self._measure = SimilarityMeasure(self.dataset_meta['sigmas'])
        return self._measure

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep trials and labels, and what the evaluator needs."""
        for sample in data_samples:
            pred = dict(sample['pred_instances'])
            needed = "model.type='ConditionalTopdownPoseEstimator', which tries again"
            check('trial_keypoints' in pred, f'calibration needs {needed}')
            keypoints, scores = pred.pop('trial_keypoints'), pred.pop('trial_scores')
            truth, norms, weights = self.measure.labels(sample)
            shapes = f'predictions {keypoints.shape[2:]}, annotations {truth.shape[1:]}'
            same = truth.shape[1:] == keypoints.shape[2:]
            check(same, f'calibration: {shapes} do not fit; check the number of keypoints')
            kept = {key: value for key, value in sample.items() if key not in NOT_FOR_METRICS}
            self.results.append(
                dict(
                    keypoints=to_numpy(keypoints),
                    scores=to_numpy(scores),
                    truth=truth,
                    norms=norms,
                    weights=weights,
                    sides=[np.max(sample['input_scale'])],
                    passes=int(pred['num_passes'][0]) // (1 + int(pred['num_trials'][0])),
                    images=[str(sample.get('img_path'))],
                    sample={**kept, 'pred_instances': pred},
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Search, verify and write the file."""
        check(results, 'calibration: there is no person in the validation set')
        arrays = {
            key: np.concatenate([r[key] for r in results])
            for key in ('keypoints', 'scores', 'truth', 'norms', 'weights', 'sides')
        }
        paths, images = np.unique([r['images'] for r in results], return_inverse=True)
        labelled = (arrays['weights'] > 0).sum()
        check(
            len(paths) > 1 and labelled,
            'calibration needs labelled keypoints in at least two images, got '
            f'{len(paths)} image(s) with {labelled}',
        )
        arrays.update({key: arrays[key].swapaxes(0, 1) for key in ('keypoints', 'scores')})
        everyone = Recording(
            self.perturbations,
            images=images.reshape(-1),
            credit=self.measure.credit,
            passes=results[0]['passes'],
            **arrays,
        )
        content = self.calibrate(everyone, [r['sample'] for r in results])
        names = (self.dataset_meta or {}).get('keypoint_id2name') or {}
        content['keypoints'] = [names.get(k, str(k)) for k in range(len(content['thresholds']))]
        write_json(self.out_file, {**content, **self.provenance}, indent=1)
        held_out = content['held_out']
        low, high = held_out['gain_interval']
        return dict(
            gain=held_out['gain'],
            gain_low=low,
            gain_high=high,
            passes=held_out['passes'],
            retried=held_out['retried_percent'],
        )

    def calibrate(self, everyone: Recording, samples: Sequence[dict]) -> dict[str, Any]:
        """Return what the file says.

        Args:
            everyone: the recording of all persons.
            samples: theirs, as evaluators get them.
        """
        parts = dict(zip(('search', 'held_out'), everyone.halves(self.seed)), all=everyone)
        found = Search(parts['search'], self.aim, self.max_passes).best()
        off = dict(
            thresholds=np.zeros(everyone.scores.shape[-1]),
            score_threshold=0.0,
            agreement=found.options['agreement'],
        )
        plain = self._report(parts, found.chosen, off, samples)
        tested = self._report(parts, found.chosen, found.options, samples)
        objection = self._objection(found.value, tested, plain)
        options, report = (off, plain) if objection else (found.options, tested)
        verdict = (
            f'thresholds 0, every person is estimated once: {objection}'
            if objection
            else 'better on both halves: {gain:+.2f} {name} on the held-out half '
            '({low:+.2f} to {high:+.2f}) at {passes:.2f} passes a person instead of {once}'.format(
                name=self.measure.name,
                low=tested['held_out']['gain_interval'][0],
                high=tested['held_out']['gain_interval'][1],
                once=everyone.passes,
                **tested['held_out'],
            )
        )
        MMLogger.get_current_instance().info(f'conditional testing: {verdict}')
        return dict(
            verdict=verdict,
            **_options(everyone, found.chosen, options),
            measure=self.measure.name,
            **report,
            metrics_plain=plain['metrics'],
            rejected=dict(_options(everyone, found.chosen, found.options), **tested)
            if objection
            else None,
            candidates=everyone.perturbations.tolist(),
            aim=self.aim,
            max_passes=None if np.isinf(self.max_passes) else self.max_passes,
            confidence=self.confidence,
            certainty=CERTAINTY,
            seed=self.seed,
        )

    def _report(
        self,
        parts: Mapping[str, Recording],
        chosen: Sequence[int],
        options: Mapping[str, Any],
        samples: Sequence[dict],
    ) -> dict[str, Any]:
        """Return the figures of options on every part, and the evaluator's own of all persons."""
        outcomes = {name: part.replay(chosen, **options) for name, part in parts.items()}
        report = {name: self._figures(part, outcomes[name]) for name, part in parts.items()}
        metrics = None
        if self.is_pck or not self.sampled:
            metric, out = METRICS.build(self.evaluator), outcomes['all']
            metric.dataset_meta = copy.deepcopy(self.dataset_meta)
            for i, sample in enumerate(samples):
                pred = dict(
                    sample['pred_instances'],
                    keypoints=out.keypoints[i, None],
                    keypoint_scores=out.scores[i, None],
                )
                metric.process(None, [{**sample, 'pred_instances': pred}])
            metrics = {
                name: float(value) if np.isfinite(value) else None
                for name, value in metric.compute_metrics(metric.results).items()
            }
        return dict(report, metrics=metrics)

    def _figures(self, part: Recording, out: Any) -> dict[str, Any]:
        gains = (part.points(out.keypoints) - part.plain).sum(axis=1)
        extra = part.passes * out.trials.mean()
        return dict(
            persons=len(gains),
            images=len(np.unique(part.images)),
            plain=part.plain.sum(),
            conditional=part.points(out.keypoints).sum(),
            gain=gains.sum(),
            gain_interval=part.interval(gains, self.confidence, self.seed),
            passes=part.passes + extra,
            retried_percent=100 * (out.trials > 0).mean(),
            gain_per_extra_pass=gains.sum() / extra if extra else None,
        )

    def _objection(
        self, value: float, tested: Mapping[str, Any], plain: Mapping[str, Any]
    ) -> str | None:
        """Return why the options found are not to be taken."""
        if value <= 0:
            limit = '' if np.isinf(self.max_passes) else f' in {self.max_passes:g} passes a person'
            return (
                f'nothing that was tried{limit} gains for certain ({CERTAINTY:g} standard '
                'errors) on the search half; the best came to '
                f'{tested["search"]["gain"]:+.2f} there, {tested["held_out"]["gain"]:+.2f} on '
                'the held-out half'
            )
        for name in ('search', 'held_out'):
            low, high = tested[name]['gain_interval']
            if low <= 0:
                return (
                    f'the best options found gain {tested[name]["gain"]:+.2f} on the {name} '
                    f'half, which is not certain ({low:+.2f} to {high:+.2f} with confidence '
                    f'{self.confidence:g})'
                )
        if tested['metrics']:
            once, again = (r['metrics'].get(self.measure.headline) for r in (plain, tested))
            if once is not None and again is not None and again < once:
                return (
                    f'the best options found take {self.measure.headline} of all persons from '
                    f'{once:.4f} to {again:.4f}'
                )
        return None


def _options(
    recording: Recording, chosen: Sequence[int], options: Mapping[str, Any]
) -> dict[str, Any]:
    return dict(
        options,
        perturbations=recording.perturbations[list(chosen)].tolist(),
        thresholds=np.asarray(options['thresholds']).tolist(),
    )
