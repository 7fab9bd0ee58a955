# Keypoint masking against other augmentations, for 500 further steps of the same MSS-net of 64
# channels: cutout of as many pixels at random places, changes of colour, and each of these with
# masking.
_base_ = './ablation_msspose.py'

model = dict(backbone=dict(channels=64))


def _pipeline(steps):
    return {
        **_base_.further,
        'start_from': 'mss',
        'against': 'none',
        'train_dataloader.dataset.pipeline': steps,
    }


variants = {
    '_delete_': True,
    'mss': {},
    'none': {**_base_.further, 'start_from': 'mss', 'against': 'mss'},
    'cutout': _pipeline(_base_.train_pipeline_cutout),
    'colours': _pipeline(_base_.train_pipeline_colours),
    'masking': {
        **_pipeline(_base_.train_pipeline_masked), 'against': ('none', 'cutout', 'colours')},
    'masking_colours': {
        **_pipeline(_base_.train_pipeline_masked_colours), 'against': ('none', 'masking')},
}
