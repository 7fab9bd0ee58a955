# When what makes drawn people hard pays on photographs: plain and photographic ones, as many steps as
# in photographs_drawing.py, half, twice and four times as many.
_base_ = './photographs_drawing.py'


def _epochs(count, drawing, *against):
    return {
        'train_dataloader.dataset.data_root': f'{_base_.folder}{drawing}/',
        'train_cfg.max_epochs': count,
        'param_scheduler': [dict(_base_.one_cycle, total_steps=count)],
        'against': against,
    }


variants = {
    '_delete_': True,
    'plain_500': _epochs(4, 'plain'),
    'photographic_500': _epochs(4, 'photographic', 'plain_500'),
    'plain_2000': _epochs(16, 'plain', 'plain_500'),
    'photographic_2000': _epochs(16, 'photographic', 'plain_2000', 'photographic_500'),
    'plain_4000': _epochs(32, 'plain', 'plain_2000'),
    'photographic_4000': _epochs(32, 'photographic', 'plain_4000', 'photographic_2000'),
}
