"""Predictions of a test set, with what is annotated, read from files that a run or others left.

- ``.pkl`` of ``mspose test --dump``, MPII or FLIC, has the annotations in it;
- ``.json`` of COCO's result format needs COCO's annotation file;
- ``.h5`` with ``preds`` ``[N, 16, 2]``, 1-based, as published for MPII, needs ``mpii_val.json`` and
  the head boxes.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval

from mspose_plugin.checkpoint.dumps import load_dump
from mspose_plugin.datasets import FlicDataset, ZeroBasedMpiiDataset
from mspose_plugin.datasets.metainfo import metainfo_of
from mspose_plugin.evaluation import pck
from mspose_plugin.evaluation.metrics import FlicPCK, PCKhAUC, PckMetric
from mspose_plugin.evaluation.pose_errors import Persons, coco_reach
from mspose_plugin.utils.checks import check, check_numbers, numbers, refused
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.files import local_file, read_json

REMEDY = 'give a file that mspose test --dump or a COCO evaluator wrote'
TRUTH_HELP = 'give the annotation file of the test set with --truth'
LEAST_OKS = 0.1
"""Of a detection that counts as of a person, as in the paper's own program."""


@dataclass(frozen=True, eq=False)
class PckPredictions:
    """Predictions that PCKh or PCK measures, one for each annotated person.

    Args:
        pred: ``[N, K, 2]`` in pixels.
        own: ``[N]``, the persons they are of: 0 ... N - 1.
        persons: the annotated ones.
        norm: ``[N]``, lengths in pixels that count as 1.
        metric: the evaluator that measures them.
    """

    pred: np.ndarray
    own: np.ndarray
    persons: Persons
    norm: np.ndarray
    metric: PckMetric

    def curve(self, pred: np.ndarray | None = None) -> pck.PckCurve:
        """Return the curve of these predictions, or of others for the same persons.

        Args:
            pred: ``[N, K, 2]``, the others. Default: None.
        """
        pred = self.pred if pred is None else pred
        truth = self.persons
        away = pck.normalized_distances(pred, truth.keypoints, truth.visible, self.norm)
        return pck.pck_curve(away, pck.threshold_grid(self.metric.upper, (0.1, self.metric.thr)))

    def measures(self, pred: np.ndarray) -> dict[str, float]:
        """Return the evaluator's figures of predictions ``[N, K, 2]``."""
        return self.metric.summarize(self.curve(pred))

    def said(self) -> str:
        """Return what was read, in words."""
        return f'{len(self.pred)} persons'


@dataclass(frozen=True, eq=False)
class CocoPredictions:
    """COCO's results, matched with the annotated persons as COCO's evaluation does.

    Args:
        pred: ``[N, K, 2]`` in pixels, of the detections that have a person.
        own: ``[N]``, the persons they are of.
        persons: the annotated ones.
        rows: ``[N]``, the detections' places among the results.
        results: all detections, as the file has them.
        truth: the annotations.
        sigmas: ``[K]``.
    """

    pred: np.ndarray
    own: np.ndarray
    persons: Persons
    rows: np.ndarray
    results: list[dict]
    truth: COCO
    sigmas: np.ndarray

    def measures(self, pred: np.ndarray) -> dict[str, float]:
        """Return COCO's AP, in percent, after these ``[N, K, 2]`` took the place of the matched."""
        changed = [dict(result) for result in self.results]
        for row, keypoints in zip(self.rows, pred):
            scores = changed[row]['keypoints'][2::3]
            changed[row]['keypoints'] = np.column_stack([keypoints, scores]).ravel().tolist()
        stats = evaluate(self.truth, changed, self.sigmas).stats
        return dict(AP=100 * stats[0], AP50=100 * stats[1], AP75=100 * stats[2], AR=100 * stats[5])

    def said(self) -> str:
        """Return what was read, in words."""
        labelled = int(self.persons.visible.any(axis=1).sum())
        return (
            f'{len(self.results)} detections, {len(self.pred)} of them of one of {labelled} '
            f'persons (OKS of {LEAST_OKS} or more)'
        )


def read_predictions(
    path: str,
    truth: str | None = None,
    headboxes: str | None = None,
) -> PckPredictions | CocoPredictions:
    """Read predictions.

    Args:
        path: the file; its ending says what it is, see the module.
        truth: annotation file; not for ``.pkl``. Default: None.
        headboxes: ``mpii_gt_val.mat``, for ``.h5``. Default: None.

    Raises:
        InputError: a file that is missing or not as expected.
    """
    init_default_scope('mmpose')
    ending = Path(path).suffix.lower()
    check(ending in ('.pkl', '.pickle', '.h5', '.json'), f'{path}: expected .pkl, .h5 or .json')
    if ending in ('.pkl', '.pickle'):
        return _from_dump(path)
    if truth is None:
        raise InputError(f'{path}: {TRUTH_HELP}')
    if ending == '.h5':
        return _from_h5(path, truth, headboxes)
    return _from_coco(path, truth)


# ---------------------------------------------------------------- MPII, FLIC


def _pck_predictions(
    pred: np.ndarray, truth: np.ndarray, visible: np.ndarray, norm: np.ndarray, metric: PckMetric
) -> PckPredictions:
    known = np.isfinite(norm)
    meta = ZeroBasedMpiiDataset if isinstance(metric, PCKhAUC) else FlicDataset
    names = parse_pose_metainfo(meta.METAINFO)['keypoint_id2name']
    reach = metric.thr * norm[known, None] * np.ones(visible.shape[1])
    persons = Persons(
        truth[known].astype(float),
        visible[known] > 0,
        reach,
        tuple(names[k] for k in range(len(names))),
    )
    return PckPredictions(
        pred[known].astype(float), np.arange(known.sum()), persons, norm[known], metric
    )


def _from_dump(path: str) -> PckPredictions:
    with local_file(path, 'predictions', REMEDY) as local:
        samples = load_dump(local)
    fits = isinstance(samples, list) and samples and all(isinstance(s, dict) for s in samples)
    check(fits, f'{path}: holds no list of predictions; {REMEDY}')
    with refused(f'{path}: not as mspose test --dump writes it', KeyError, TypeError, ValueError):
        truths = [sample['gt_instances'] for sample in samples]
        joints = np.shape(truths[0]['keypoints'])[1]
        mpii = joints == 16 and all('head_size' in truth for truth in truths)
        coco = any('keypoints' in (sample.get('raw_ann_info') or ()) for sample in samples)
        check(
            mpii or (joints == 11 and not coco),
            f'{path}: predictions of neither MPII (with head boxes) nor FLIC; of COCO give the '
            'result file that test_evaluator.outfile_prefix names, with --truth',
        )
        metric = PCKhAUC() if mpii else FlicPCK()
        metric.process(None, samples)
        data = {key: np.concatenate([r[key] for r in metric.results]) for key in metric.results[0]}
    return _pck_predictions(data['pred'], data['gt'], data['visible'], data['norm'], metric)


def _from_h5(path: str, truth: str, headboxes: str | None) -> PckPredictions:
    check(headboxes, f'{path}: give the head boxes (mpii_gt_val.mat) with --headboxes')
    folder = Path(truth).parent
    data = ZeroBasedMpiiDataset(
        ann_file=Path(truth).name, data_root=str(folder), headbox_file=headboxes, test_mode=True
    )
    infos = [data.get_data_info(i) for i in range(len(data))]
    with (
        local_file(path, 'predictions', 'check the path') as local,
        refused(f'{path}: not a readable HDF5 file with preds', OSError, KeyError),
        h5py.File(local) as f,
    ):
        found = f['preds'][()]
    pred = check_numbers(f'{path}: preds', found, (len(infos), 16, 2), finite=False) - 1
    gt, visible, norm = (
        np.concatenate([np.asarray(info[key]) for info in infos])
        for key in ('keypoints', 'keypoints_visible', 'head_size')
    )
    return _pck_predictions(pred, gt, visible, norm.ravel(), PCKhAUC())


# ---------------------------------------------------------------- COCO


def _from_coco(path: str, truth: str) -> CocoPredictions:
    results = read_json(path, 'predictions', REMEDY)
    content = read_json(truth, 'annotation file', TRUTH_HELP)
    fits = isinstance(content, dict) and all(
        isinstance(content.get(key), list) and content[key]
        for key in ('images', 'annotations', 'categories')
    )
    check(fits, f'{truth}: expected COCO\'s annotations: images, annotations, categories')
    with refused(f'{truth}: the first of the categories'):
        meta = metainfo_of(content['categories'][0], 'coco')
    names = tuple(info['name'] for info in meta['keypoint_info'].values())
    count, sigmas = len(names), np.asarray(meta['sigmas'], float)
    listed = (
        isinstance(results, list)
        and results
        and all(
            isinstance(r, dict) and {'image_id', 'keypoints', 'score'} <= r.keys() for r in results
        )
    )
    check(listed, f'{path}: expected a list of results with image_id, keypoints, score')
    keypoints = numbers([r['keypoints'] for r in results], (None, 3 * count))
    check(keypoints is not None, f'{path}: expected {3 * count} numbers as keypoints of each')
    images = {image['id'] for image in content['images']}
    unknown = [r['image_id'] for r in results if r['image_id'] not in images]
    check(not unknown, f'{path}: image_id {unknown[:1]} is not in {truth}')
    with refused(f'{truth}: cannot be read as COCO\'s annotations'), _silent():
        coco = COCO(truth)
        anns = [ann for ann in coco.loadAnns(coco.getAnnIds()) if 'keypoints' in ann]
        values = np.array([ann['keypoints'] for ann in anns], float).reshape(-1, count, 3)
        boxes = [ann.get('area', 0.53 * ann['bbox'][2] * ann['bbox'][3]) for ann in anns]
    numbered = {image: i for i, image in enumerate(sorted(images))}
    persons = Persons(
        values[..., :2],
        (values[..., 2] > 0) & ~np.array([bool(ann.get('iscrowd')) for ann in anns])[:, None],
        coco_reach(np.array(boxes, float), sigmas),
        names,
        np.array([numbered[ann['image_id']] for ann in anns]),
    )
    rows, own = _matches(coco, results, sigmas, {ann['id']: i for i, ann in enumerate(anns)})
    labelled = persons.visible[own].any(axis=1)
    rows, own = rows[labelled], own[labelled]
    assert keypoints is not None
    pred = keypoints.reshape(-1, count, 3)[rows, :, :2]
    return CocoPredictions(pred, own, persons, rows, results, coco, sigmas)


def _matches(
    truth: COCO, results: list[dict], sigmas: np.ndarray, index: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the results that have a person, and who that is."""
    matched = evaluate(truth, results, sigmas, least=LEAST_OKS)
    pairs = [
        (result - 1, index[int(person)])
        for image in filter(None, matched.evalImgs)
        for result, person in zip(image['dtIds'], image['dtMatches'][0])
        if int(person) in index
    ]
    rows, own = np.array(sorted(pairs), int).reshape(-1, 2).T
    return rows, own


def evaluate(
    truth: COCO, results: list[dict], sigmas: np.ndarray, least: float | None = None
) -> COCOeval:
    """Run COCO's evaluation without its prints.

    Args:
        truth: annotations.
        results: in COCO's result format.
        sigmas: ``[K]``.
        least: match at this OKS only, persons of any size, and do not accumulate. Default: None.
    """
    with _silent():
        found = truth.loadRes([{'category_id': truth.getCatIds()[0], **r} for r in results])
        run = COCOeval(truth, found, 'keypoints', sigmas, True)
        if least is not None:
            run.params.iouThrs = np.array([least])
            run.params.areaRng, run.params.areaRngLbl = run.params.areaRng[:1], ['all']
        run.evaluate()
        if least is None:
            run.accumulate()
            run.summarize()
    return run


def _silent() -> contextlib.redirect_stdout:
    return contextlib.redirect_stdout(io.StringIO())
