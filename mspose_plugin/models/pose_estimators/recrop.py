"""Other crops of the same persons, cut from the original images' pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from mmpose.datasets.transforms import TopdownAffine
from mmpose.datasets.transforms.formatting import image_to_tensor
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from mspose_plugin.datasets.transforms import LoadImageChecked
from mspose_plugin.datasets.transforms.original_image import FIELD
from mspose_plugin.utils.errors import InputError

UNCHANGED = np.array([0.0, 0.0, 1.0])
"""The perturbation that leaves a box as it is."""
PIPELINE_HELP = (
    'conditional and multi-scale testing need a test pipeline of KeepOriginalImage, '
    'image loader, GetBBoxCenterScale, TopdownAffine and PackPoseInputs'
)
_NO_PATH = (
    'this image came as an array and has no path to read it again: put '
    "dict(type='KeepOriginalImage') first in the test pipeline"
)


class Recropper:
    """Cuts other crops of a batch's persons from the original images, as the data pipeline would.

    Images are read again, once for a batch: by the path that samples carry, or, for images that
    came as arrays through MMPose's inference API, from the reference that ``KeepOriginalImage``
    left. The first crop from each image is checked against what the pipeline made of the same box,
    which finds pipelines that rotate or flip, and made-up paths.

    Args:
        inputs: the batch ``[B, C, H, W]``, normalised.
        samples: its samples.
        preprocessor: the model's ``data_preprocessor``.
        affine: crops a box, as the pipeline's step does.
        loader: reads image files.
    """

    def __init__(
        self,
        inputs: Tensor,
        samples: list[PoseDataSample],
        preprocessor: nn.Module,
        affine: TopdownAffine,
        loader: LoadImageChecked,
    ) -> None:
        self.inputs, self.samples, self.preprocessor = inputs, samples, preprocessor
        self.affine, self.loader = affine, loader
        names = ('input_center', 'input_scale', 'ori_shape')
        metas = np.array([[s.metainfo[n][:2] for n in names] for s in samples], np.float32)
        # [B, 2] in image pixels, x and y; width and height, padding included
        self.centers, self.scales, sizes = metas.swapaxes(0, 1)
        self.sizes = sizes[:, ::-1]
        self._images: dict[str | int, np.ndarray] = {}

    def see_image(self, perturbations: np.ndarray) -> np.ndarray:
        """Return which perturbed boxes ``[P, 3]`` share an area with their images: ``[B, P]``."""
        low, high = np.split(self.boxes(perturbations), 2, axis=-1)
        return ((high > low) & (high > 0) & (low < self.sizes[:, None])).all(axis=-1)

    def boxes(self, perturbations: np.ndarray) -> np.ndarray:
        """Return perturbed boxes ``[B, P, 4]``: x1, y1, x2, y2 in image pixels."""
        centers = self.centers[:, None] + self.scales[:, None] * perturbations[:, :2]
        halves = self.scales[:, None] * perturbations[:, 2:] / 2
        return np.concatenate([centers - halves, centers + halves], axis=-1)

    def crop(
        self, who: np.ndarray, perturbations: np.ndarray
    ) -> tuple[Tensor, list[PoseDataSample]]:
        """Cut perturbed boxes.

        Args:
            who: indices of persons ``[n]``.
            perturbations: how each one's box is changed ``[n, 3]``: dx, dy, as fractions of its
                width and height, and the factor by which it is scaled about its centre.

        Returns:
            Normalised inputs ``[n, C, H, W]`` on the model's device, and a sample for each with the
            box's ``input_center`` and ``input_scale`` and the person's other data. What lies
            outside an image has the border's colour.

        Raises:
            InputError: an image that cannot be read, or is not the one that the batch was made of.
        """
        return self._cut(map(self._image, who), who, perturbations)

    def _cut(
        self,
        images: Iterable[np.ndarray],
        who: Sequence[int] | np.ndarray,
        perturbations: np.ndarray,
    ) -> tuple[Tensor, list[PoseDataSample]]:
        moves = np.asarray(perturbations, np.float32)
        centers = self.centers[who] + self.scales[who] * moves[:, :2]
        scales = self.scales[who] * moves[:, 2:]
        crops, samples = [], []
        for image, i, center, scale in zip(images, who, centers, scales):
            crop = self.affine(dict(img=image, bbox_center=center[None], bbox_scale=scale[None]))
            box = dict(input_center=crop['input_center'], input_scale=crop['input_scale'])
            # metadata are copied; the annotation may be large, and nothing reads it again
            meta = {**self.samples[i].metainfo, **box, 'raw_ann_info': None}
            samples.append(PoseDataSample(metainfo=meta))
            samples[-1].gt_instances = self.samples[i].gt_instances
            crops.append(image_to_tensor(crop['img']))
        batch = self.preprocessor(dict(inputs=crops, data_samples=samples), False)
        inputs = batch['inputs']
        return torch.stack(inputs) if isinstance(inputs, list) else inputs, samples

    def _image(self, index: int) -> np.ndarray:
        sample = self.samples[index]
        kept, path = sample.gt_instances.get(FIELD), sample.metainfo.get('img_path')
        key = path if kept is None else id(kept[0])
        if key not in self._images:
            if not key:
                raise InputError(f'{_NO_PATH}; {PIPELINE_HELP}')
            try:
                source = dict(img_path=path) if kept is None else dict(img=kept[0])
                image = self.loader(source)['img']
            except InputError as e:
                raise InputError(f'{e} (if it came as an array: {PIPELINE_HELP})') from e
            self._check(index, image, path)
            self._images[key] = image
        return self._images[key]

    def _check(self, index: int, image: np.ndarray, path: str | None) -> None:
        """Refuse an image whose crop is not what the network was given."""
        expected = self.inputs[index].float()
        again = self._cut([image], [index], UNCHANGED[None])[0][0].float()
        std = getattr(self.preprocessor, 'std', None)
        grey_level = 1.0 if std is None else 1.0 / float(std.float().mean())
        # other JPEG decoders differ by about one grey level
        tolerance = 2 * grey_level + 0.1 * float(expected.std())
        same = image.shape[:2] == tuple(self.samples[index].metainfo['ori_shape'][:2])
        same &= float((again - expected).square().mean().sqrt()) <= tolerance
        differs = 'its person box, cut again, does not give what the network was given'
        if not same:
            raise InputError(f'image {path}: {differs}; {PIPELINE_HELP}, without rotation or flip')
