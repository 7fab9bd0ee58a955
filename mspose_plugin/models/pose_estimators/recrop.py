"""Other crops of the same person, cut from the original image's pixels.

Conditional and multi-scale testing look at boxes that the data pipeline has not cut. They read the
image again, once for a batch: by the path that samples carry, or, for images that came as arrays
through MMPose's inference API, from the reference that ``KeepOriginalImage`` left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmpose.datasets.transforms.formatting import image_to_tensor
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from mspose_plugin.datasets.transforms import BorderedTopdownAffine, LoadImageChecked
from mspose_plugin.datasets.transforms.original_image import FIELD
from mspose_plugin.utils.errors import InputError

PIPELINE_HELP = (
    'conditional and multi-scale testing need a test pipeline of KeepOriginalImage, '
    'image loader, GetBBoxCenterScale, TopdownAffine and PackPoseInputs'
)


class Box(NamedTuple):
    """A person's box in image pixels, and whose it is.

    Args:
        index: the person, as an index of the batch.
        center: ``[2]``, x and y.
        scale: ``[2]``, width and height, padding included.
    """

    index: int
    center: np.ndarray
    scale: np.ndarray

    def perturbed(self, dx: float, dy: float, factor: float) -> Box:
        """Move the box by fractions of its own sides and scale it about its centre."""
        return self._replace(
            center=self.center + self.scale * np.asarray([dx, dy], np.float32),
            scale=self.scale * np.float32(factor),
        )


class Recropper:
    """Cut boxes from the images of a batch, exactly as the data pipeline would.

    The geometry is MMPose's ``TopdownAffine``, the normalisation the model's own. The first crop
    from each image is checked against what the pipeline made of the same box, which finds pipelines
    that rotate or flip, and made-up paths.

    Args:
        inputs: the batch ``[B, C, H, W]``, normalised.
        data_samples: its samples.
        preprocessor: the model's ``data_preprocessor``.
        use_udp: as ``TopdownAffine``'s.
        loader: reads image files.
        border: colour outside the image, as ``BorderedTopdownAffine``'s.
    """

    def __init__(
        self,
        inputs: Tensor,
        data_samples: Sequence[PoseDataSample],
        preprocessor: nn.Module,
        use_udp: bool,
        loader: LoadImageChecked,
        border: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.inputs, self.samples = inputs, data_samples
        self.preprocessor, self.loader = preprocessor, loader
        width, height = data_samples[0].metainfo['input_size']
        self.affine = BorderedTopdownAffine((int(width), int(height)), use_udp, border)
        self.boxes = [
            Box(
                i,
                np.asarray(s.metainfo['input_center'], np.float32),
                np.asarray(s.metainfo['input_scale'], np.float32),
            )
            for i, s in enumerate(data_samples)
        ]
        self._images: dict[str | int, np.ndarray] = {}

    def see_image(self, perturbations: np.ndarray) -> np.ndarray:
        """Return which perturbed boxes have a size and share an area with their image.

        Args:
            perturbations: ``[P, 3]`` as for :meth:`Box.perturbed`.

        Returns:
            ``[N, P]``, bool.
        """
        scales = np.stack([box.scale for box in self.boxes])[:, None]
        centers = np.stack([box.center for box in self.boxes])[:, None]
        sizes = np.array([s.metainfo['ori_shape'][1::-1] for s in self.samples])[:, None]
        centers = centers + scales * perturbations[:, :2]
        halves = scales * perturbations[:, 2:] / 2
        return ((halves > 0) & (centers + halves > 0) & (centers - halves < sizes)).all(axis=-1)

    def crop(self, boxes: Sequence[Box]) -> tuple[Tensor, list[PoseDataSample]]:
        """Cut boxes.

        Args:
            boxes: of any persons of the batch; what lies outside an image gets the border's colour.

        Returns:
            Normalised inputs ``[n, C, H, W]`` on the model's device, and a sample for each with the
            box's ``input_center`` and ``input_scale`` and the person's other data.

        Raises:
            InputError: an image that cannot be read, or is not the one that the batch was made of.
        """
        return self._normalized([(box, *self._cut(self._image(box.index), box)) for box in boxes])

    def _cut(self, image: np.ndarray, box: Box) -> tuple[np.ndarray, dict]:
        results = self.affine(
            dict(img=image, bbox_center=box.center[None], bbox_scale=box.scale[None])
        )
        return results['img'], {k: results[k] for k in ('input_center', 'input_scale')}

    def _normalized(self, crops: list[tuple[Box, np.ndarray, dict]]):
        samples = []
        for box, _, geometry in crops:
            source = self.samples[box.index]
            meta = {k: v for k, v in source.metainfo.items() if k != 'raw_ann_info'}
            samples.append(PoseDataSample(metainfo={**meta, **geometry}))
            samples[-1].gt_instances = source.gt_instances
        batch = dict(inputs=[image_to_tensor(img) for _, img, _ in crops], data_samples=samples)
        batch = self.preprocessor(batch, False)
        inputs = batch['inputs']
        return torch.stack(inputs) if isinstance(inputs, list) else inputs, samples

    def _image(self, index: int) -> np.ndarray:
        sample = self.samples[index]
        kept, path = sample.gt_instances.get(FIELD), sample.metainfo.get('img_path')
        key = path if kept is None else id(kept[0])
        if key not in self._images:
            if kept is None and not path:
                raise InputError(
                    'this image came as an array and has no path to read it again: '
                    "put dict(type='KeepOriginalImage') first in the test pipeline; "
                    f'{PIPELINE_HELP}'
                )
            source = dict(img_path=path) if kept is None else dict(img=kept[0])
            try:
                image = self.loader(source)['img']
            except InputError as e:
                raise InputError(f'{e} (if it came as an array: {PIPELINE_HELP})') from e
            self._check(index, image, path)
            self._images[key] = image
        return self._images[key]

    def _check(self, index: int, image: np.ndarray, path: str | None) -> None:
        box, expected = self.boxes[index], self.inputs[index].float()
        again = self._normalized([(box, *self._cut(image, box))])[0][0]
        std = getattr(self.preprocessor, 'std', None)
        grey_level = 1.0 if std is None else 1.0 / float(std.float().mean())
        # other JPEG decoders differ by about one grey level
        tolerance = 2 * grey_level + 0.1 * float(expected.std())
        differ = image.shape[:2] != tuple(self.samples[index].metainfo['ori_shape'][:2])
        if differ or float((again.float() - expected).square().mean().sqrt()) > tolerance:
            raise InputError(
                f'image {path}: its person box, cut again, does not give what the '
                f'network was given; {PIPELINE_HELP}, without rotation or flip'
            )
