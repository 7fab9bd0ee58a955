"""The original image of a crop, kept where it cannot be read again."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import TRANSFORMS

from mspose_plugin.utils.checks import check

FIELD = 'original_image'


@TRANSFORMS.register_module()
class KeepOriginalImage(BaseTransform):
    """Hand an image array on to the model; the first step of a test pipeline.

    MMPose's inference API takes arrays, which have no path to read again (and its inferencers make
    one up). This step leaves a reference to the array, never a copy, in
    ``gt_instances.original_image``, which ``ConditionalTopdownPoseEstimator`` takes off again.
    Images that come as files are left alone, so that nothing travels between processes.
    """

    def transform(self, results: dict) -> dict:
        """Note ``results['img']`` where the image is not yet to be loaded from a file.

        Raises:
            InputError: the step stands after the image loader.
        """
        if 'img' not in results:
            return results
        first = 'img_shape' not in results
        check(first, 'KeepOriginalImage must be the first step of the pipeline, before the loader')
        table = results.get('instance_mapping_table', PackPoseInputs.instance_mapping_table)
        results['instance_mapping_table'] = {**table, FIELD: FIELD}
        results[FIELD] = [results['img']]  # instance data need a length: that of one person
        return results

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f'{type(self).__name__}()'
