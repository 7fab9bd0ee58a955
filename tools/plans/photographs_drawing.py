# What each kind of variation in the drawing is worth on photographs: the MSS-net with one stack of 64
# channels at 128x128, eight passes over 2,000 drawn people (1000 steps). Rows after the second leave one
# kind out of the photographic drawing. Tested on people in photographs, which are collected first:
#   python tools/make_photographs.py --mpii FILE --coco FILE --out data/photographs
_base_ = './ablation_msspose.py'

model = dict(backbone=dict(channels=64))
train_cfg = dict(max_epochs=8)
param_scheduler = [dict(_base_.one_cycle, total_steps=8)]

augmentation = [_base_.wide_boxes, _base_.load, _base_.flip]
photographic_pipeline = [
    *_base_.pre_transform, *augmentation, _base_.crop, _base_.masking, _base_.colours,
    _base_.target, *_base_.last_transform
]
# difficulty, and what of it is drawn otherwise
drawings = dict(
    photographic=('photographic', {}),
    plain=('normal', {}),
    no_effects=('photographic', dict(photograph=0.)),
    no_texture=('photographic', dict(without=['texture', 'relief'])),
    no_light=('photographic', dict(without=['light'])),
    no_tones=('photographic', dict(without=['tones'])),
    no_lens=('photographic', dict(without=['lens', 'noise', 'compression'])),
    no_others=('photographic', dict(neighbour=0., occluder=0.)),
    no_clutter=('photographic', dict(clutter=(2, 7), contrast=40.)),
    no_clothes=('photographic', dict(disguise=0., outline=(1., 1.))),
    no_poses=(
        'photographic',
        dict(build=1., pose_spread=1., side_on=0.3, tilt=6., tumble=0.04)),
    no_perspective=('photographic', dict(elevation=(6., 7.), distance=(6., 6.))),
    no_cropping=('photographic', dict(cropped=0.)))
folder = 'work_dirs/photographs/'
synthetic = [
    dict(
        out=folder + name, layout='mpii', train=2000, val=1, seed=7, difficulty=difficulty,
        changes=changes) for name, (difficulty, changes) in drawings.items()
]
train_dataloader = dict(
    dataset=dict(data_root=f'{folder}photographic/', pipeline=photographic_pipeline))
val_dataloader = dict(
    dataset=dict(
        data_root='data/photographs/', ann_file='annotations/all.json', headbox_file=None))
val_evaluator = dict(_delete_=True, type='BoxPCK')

variants = {
    '_delete_': True,
    **{
        name: {
            'train_dataloader.dataset.data_root': f'{folder}{name}/',
            'against': () if name == 'photographic' else 'photographic',
        }
        for name in drawings
    },
}
