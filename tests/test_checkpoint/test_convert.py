"""Published weights: same outputs after conversion, an account of every tensor, messages."""

import re
import shlex
from collections import OrderedDict
from dataclasses import replace
from functools import cache

import pytest
import timm
import tiny_run
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from tiny_run import write_mpii

import mspose_command
from mspose_plugin.checkpoint.convert import convert, detect, output_difference, weights_of
from mspose_plugin.checkpoint.layouts import LAYOUTS
from mspose_plugin.checkpoint.loading import load_checkpoint_file
from mspose_plugin.cli.convert import fitting_config
from mspose_plugin.utils.errors import InputError
from mspose_plugin.utils.reference_hourglass import Bearpaw, Princeton, randomised

SMALL = dict(width=32, keypoints=5, depth=2)
PUBLISHED = {'princeton': Princeton, 'bearpaw': Bearpaw}
WRAPPER = {'princeton': 'model.module.', 'bearpaw': 'module.'}
RESNESTS = {'resnest50d': (50, 64), 'resnest101e': (101, 128)}


def published(name, stacks=2, **kwargs):
    """Return a network with the names of a publication, and its checkpoint."""
    net = randomised(PUBLISHED[name](stacks, **{**SMALL, **kwargs})).eval()
    state = OrderedDict((WRAPPER[name] + k, v) for k, v in net.state_dict().items())
    optimizer = torch.optim.RMSprop(net.parameters()).state_dict()
    return net, dict(
        epoch=3, arch='hg', best_acc=torch.tensor(0.9), optimizer=optimizer, state_dict=state
    )


@cache
def resnest(name='resnest50d'):
    """Return timm's network with batch norms that do something, and what it converts to."""
    net = timm.create_model(name).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                torch.nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                torch.nn.init.uniform_(tensor, -0.3, 0.3)
    return net, convert(net.state_dict())


def model_for(backbone):
    """Return the project's plain hourglass for MPII with another backbone."""
    cfg = Config.fromfile('configs/hourglass/hourglass8_mpii_bearpaw.py').model
    return MODELS.build({**cfg, 'backbone': backbone}).eval()


@pytest.fixture
def tool(capsys):
    """Return a function that runs the tool: exit status, output, errors."""

    def call(*args):
        try:
            mspose_command.main(['convert', *map(str, args)])
            status = 0
        except SystemExit as e:
            status = e.code
        return status, *capsys.readouterr()

    return call


@pytest.fixture(autouse=True)
def in_repository(repository, monkeypatch):
    """Configs are named relative to the repository."""
    monkeypatch.chdir(repository)


@pytest.mark.parametrize('name', PUBLISHED)
@pytest.mark.parametrize(
    'stacks, options',
    [(1, {}), (2, {}), (3, dict(depth=3)), (2, dict(width=48, keypoints=16, depth=1))],
)
def test_outputs_are_those_of_the_published_network(name, stacks, options):
    net, checkpoint = published(name, stacks, **options)
    result = convert(checkpoint)
    options = {**SMALL, **options}
    assert result.layout == name
    assert result.backbone == dict(
        type='MultiScaleHourglass',
        num_stacks=stacks,
        num_keypoints=options['keypoints'],
        channels=options['width'],
        depth=options['depth'],
        levels=(1,),
        stem_channels=(64, 128, 128 if name == 'princeton' else options['width']),
    )
    model = model_for(result.backbone)
    model.load_state_dict(result.state_dict, strict=True)
    x = torch.rand(2, 3, 64, 32)
    with torch.no_grad():
        for a, (b,) in zip(net(x), model.backbone(x), strict=True):
            torch.testing.assert_close(b, a, rtol=0, atol=1e-5)


@pytest.mark.parametrize('name', PUBLISHED)
def test_full_size_names_are_complete(name):
    """Every tensor of the published 8-stack networks, by name and shape, without computing."""
    with torch.device('meta'):
        state = PUBLISHED[name](8).state_dict()
        result = convert(state)
    assert result.backbone['num_stacks'] == 8 and result.backbone['depth'] == 4
    assert len(state) == len(result.state_dict) + len(result.dropped)
    assert not result.new and not result.counters
    # 14 blocks of a stack and one of the stem keep their width
    assert len(result.dropped) == (2 * (8 * 14 + 1) if name == 'princeton' else 0)


@pytest.mark.parametrize('name', RESNESTS)
def test_resnest_stages_are_those_of_timm(name):
    net, result = resnest(name)
    depth, stem = RESNESTS[name]
    assert result.layout == 'resnest'
    assert result.backbone == dict(
        type='ResNeSt', depth=depth, stem_channels=stem, out_indices=(0, 1, 2, 3)
    )
    assert result.dropped == ['fc.weight', 'fc.bias'] and not result.new and not result.counters
    model = torch.nn.ModuleDict(dict(backbone=MODELS.build(result.backbone))).eval()
    model.load_state_dict(result.state_dict, strict=True)
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        ours = model.backbone(x)
        _, *theirs = net.forward_intermediates(x, intermediates_only=True)  # the stem comes first
    assert len(ours) == 4
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
        assert b.std() > 0


@pytest.mark.parametrize('name, depth', [('resnest200e', 200), ('resnest269e', 269)])
def test_deeper_resnests_have_no_other_names(name, depth):
    with torch.device('meta'):
        state = timm.create_model(name).state_dict()
        result = convert(state)
    assert result.backbone['depth'] == depth and result.backbone['stem_channels'] == 128
    assert len(state) == len(result.state_dict) + 2 and not result.new and not result.counters


def test_dropped_projections_have_no_influence():
    net, checkpoint = published('princeton')
    result = convert(checkpoint)
    assert all(
        key.endswith(('.skip_layer.conv.weight', '.skip_layer.conv.bias')) for key in result.dropped
    )
    x = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        before = net(x)[-1]
        for key in result.dropped:
            net.state_dict()[key].fill_(float('nan'))
        assert torch.equal(net(x)[-1], before)


def test_projections_that_are_used_are_kept():
    result = convert(published('princeton')[1])
    kept = [k for k in result.state_dict if '.shortcut.' in k]
    assert kept == [
        f'backbone.stem.{i}.shortcut.{kind}' for i in (3, 6) for kind in ('weight', 'bias')
    ]


def test_extra_levels_are_named_and_reproducible():
    _, checkpoint = published('bearpaw')
    plain = convert(checkpoint)
    more, again = (convert(checkpoint, levels=(2, 1)) for _ in range(2))
    assert plain.new == []
    # batch norm and convolution of the predictor
    assert len(more.new) == 2 * (5 + 2)
    assert all(k.startswith(('stacks.0.coarse.0.', 'stacks.1.coarse.0.')) for k in more.new)
    assert set(more.state_dict) == {*plain.state_dict, *(f'backbone.{k}' for k in more.new)}
    for key, value in more.state_dict.items():
        assert torch.equal(value, again.state_dict[key])
    model_for(more.backbone).load_state_dict(more.state_dict, strict=True)


def test_converting_leaves_the_random_numbers_alone():
    _, checkpoint = published('bearpaw', 1)
    state = torch.random.get_rng_state()
    convert(checkpoint)
    assert torch.equal(state, torch.random.get_rng_state())


def test_counters_of_old_files_are_named():
    _, checkpoint = published('bearpaw', 1)
    state = {k: v for k, v in checkpoint['state_dict'].items() if 'tracked' not in k}
    result = convert(state)
    assert len(result.counters) == sum('running_mean' in k for k in state)
    assert all(result.state_dict[f'backbone.{k}'] == 0 for k in result.counters)
    complete = convert(checkpoint)
    assert complete.counters == []
    assert complete.state_dict['backbone.stem.1.num_batches_tracked'] == 7


@pytest.mark.parametrize('name', PUBLISHED)
@pytest.mark.parametrize('wrapper', ['', 'module.', 'model.module.', 'module.model.'])
def test_wrappers(name, wrapper):
    state = PUBLISHED[name](1, **SMALL).state_dict()
    assert list(weights_of({wrapper + k: v for k, v in state.items()})) == list(state)
    assert detect(state) == name


def test_half_precision_becomes_single():
    state = {
        k: v.half() if v.is_floating_point() else v
        for k, v in Bearpaw(1, **SMALL).state_dict().items()
    }
    result = convert(state)
    assert {v.dtype for v in result.state_dict.values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize(
    'name, key',
    [
        ('princeton', 'hgs.1.0.low2.up1.conv2.conv.weight'),
        ('princeton', 'hgs.0.0.low2.low2.bn1.weight'),
        ('princeton', 'merge_preds.0.conv.conv.bias'),
        ('princeton', 'pre.1.skip_layer.conv.weight'),
        ('bearpaw', 'hg.1.hg.0.3.0.bn2.running_var'),
        ('bearpaw', 'layer2.0.downsample.0.weight'),
        ('bearpaw', 'fc_.0.bias'),
        ('bearpaw', 'score.0.weight'),
    ],
)
def test_a_missing_tensor_is_named_as_published(name, key):
    net = PUBLISHED[name](2, **SMALL)
    state = net.state_dict()
    del state[key]
    with pytest.raises(InputError, match=f'missing.*{key}|{key} is missing'):
        convert(state)


@pytest.mark.parametrize('name', PUBLISHED)
def test_unknown_tensors_are_all_named(name):
    state = PUBLISHED[name](1, **SMALL).state_dict()
    state['hat.weight'] = state['extra'] = torch.zeros(1)
    with pytest.raises(InputError, match='2 tensors unknown: hat.weight, extra'):
        convert(state)


def test_a_tensor_of_another_shape_is_named():
    state = Bearpaw(2, **SMALL).state_dict()
    state['fc_.0.weight'] = torch.zeros(32, 16, 1, 1)
    with pytest.raises(
        InputError,
        match=r'1 tensors of another shape: fc_.0.weight \(32, 16, 1, 1'
        r'\) for merge_features.0.weight \(32, 32, 1, 1\)',
    ):
        convert(state)


def test_resnest_tensors_that_do_not_fit_are_named():
    state = resnest()[0].state_dict()
    state['conv1.0.weight'] = torch.zeros(64, 3, 3, 3)
    state['head.weight'] = torch.zeros(1)
    del state['layer1.0.downsample.1.weight'], state['layer4.2.conv2.fc2.bias']
    with pytest.raises(
        InputError,
        match=(
            '1 tensors unknown: head.weight; 2 tensors missing: layer1.0.downsample.1.weight, '
            r'layer4.2.conv2.fc2.bias; 1 tensors of another shape: conv1.0.weight \(64, 3, 3, 3\) '
            r'for stem.0.conv.weight \(32, 3, 3, 3\)'
        ),
    ):
        convert(state)
    del state['conv1.6.weight']
    with pytest.raises(InputError, match='conv1.6.weight is missing'):
        convert(state)


def test_depths_that_no_resnest_has():
    state = {k: v for k, v in resnest()[0].state_dict().items() if not k.startswith('layer3.5.')}
    with pytest.raises(InputError, match=r'\(3, 4, 5, 3\) blocks .* there are 50 \(3, 4, 6, 3\)'):
        convert(state)


@pytest.mark.parametrize(
    'checkpoint, words',
    [
        (torch.zeros(3), 'no weights'),
        ({}, 'no weights'),
        (dict(state_dict=[]), 'no weights'),
        (dict(state_dict=dict(a=1)), "'a'.*int"),
        (dict(a=torch.zeros(1)), 'first tensor: a.*no layout'),
    ],
)
def test_what_holds_no_published_weights(checkpoint, words):
    with pytest.raises(InputError, match=words):
        convert(checkpoint)


def test_other_errors():
    state = Bearpaw(1, **SMALL).state_dict()
    with pytest.raises(InputError, match='layout .tv. is unknown; there are princeton, bearpaw'):
        convert(state, 'tv')
    with pytest.raises(InputError, match='pre.0.conv.weight is missing'):
        convert(state, 'princeton')
    with pytest.raises(InputError, match='levels'):
        convert(state, levels=(2,))
    with pytest.raises(InputError, match='bearpaw takes no option depth; it takes levels'):
        convert(state, depth=3)
    with pytest.raises(InputError, match='resnest takes no option levels; it takes none'):
        convert(resnest()[0].state_dict(), levels=(1,))
    two = {k.replace('.0.0.0.', '.0.0.1.'): v for k, v in state.items()}
    with pytest.raises(InputError, match='-b 1'):
        convert({**state, **two})


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_converter_compares_outputs(tool, tmp_path, monkeypatch, name):
    _, checkpoint = published(name)
    assert output_difference(checkpoint, convert(checkpoint)) < 1e-5
    assert output_difference(checkpoint, convert(checkpoint, levels=(2, 1))) < 1e-5
    net, converted = resnest()
    assert output_difference(net.state_dict(), converted) is None
    torch.save(checkpoint, tmp_path / 'a.pth')
    status, out, _ = tool(tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert status == 0 and 'the published network gives the same outputs' in out
    # two modules of one shape in each other's place
    rules = LAYOUTS[name]
    swap = {'stacks.0.hourglass.ups.0': 'stacks.0.hourglass.downs.0'}
    swap |= {v: k for k, v in swap.items()}

    def swapped(cfg):
        for theirs, ours in rules.modules(cfg):
            head, _, last = ours.rpartition('.')
            yield theirs, f'{swap.get(head, head)}.{last}'

    monkeypatch.setitem(LAYOUTS, name, replace(rules, modules=swapped))
    status, _, err = tool(tmp_path / 'a.pth', tmp_path / 'c.pth')
    assert status == 2 and 'answers otherwise than the published one' in err
    assert err.count('\n') == 1 and not (tmp_path / 'c.pth').exists()


@pytest.mark.parametrize('name', PUBLISHED)
def test_no_two_tensors_have_one_place(name):
    cfg = dict(num_stacks=3, depth=4)
    pairs = list(LAYOUTS[name].modules(cfg))
    assert len(set(pairs)) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_tool_writes_what_mmengine_loads(tool, tmp_path, repository):
    net, checkpoint = published('princeton')
    torch.save(checkpoint, tmp_path / 'checkpoint.pt')
    status, out, err = tool(tmp_path / 'checkpoint.pt', tmp_path / 'new' / 'hg.pth')
    assert (status, err) == (0, '')
    result = convert(checkpoint)
    for name in result.dropped:
        assert f'\n    {name}\n' in out
    assert f'{len(result.state_dict)} tensors of princeton-vl' in out
    # the printed entries are a config, over the one that is named
    config = tmp_path / 'hg.py'
    base = f"_base_ = '{repository}/{LAYOUTS['princeton'].configs[0]}'\n"
    config.write_text(base + out[out.index('model = ') : out.index('\n\nNote')])
    assert f'over {LAYOUTS["princeton"].configs[0]}:' in out and 'Test them' not in out
    model = MODELS.build(Config.fromfile(config).model).eval()
    load_checkpoint(model, str(tmp_path / 'new' / 'hg.pth'), strict=True)
    # an image in BGR bytes arrives as RGB in [0, 1]
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    batch = dict(inputs=[image], data_samples=[PoseDataSample()])
    inputs = model.data_preprocessor(batch)['inputs']
    torch.testing.assert_close(inputs[0], image.flip(0) / 255)
    with torch.no_grad():
        torch.testing.assert_close(
            model.backbone(inputs)[-1][-1], net(inputs)[-1], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize(
    'name, stacks',
    [('princeton', 2), ('princeton', 8), ('bearpaw', 1), ('bearpaw', 2), ('bearpaw', 8)],
)
def test_each_published_network_has_its_config(name, stacks):
    with torch.device('meta'):
        result = convert(PUBLISHED[name](stacks).state_dict())
        assert convert(PUBLISHED[name](3).state_dict()).backbone['num_stacks'] == 3
    config = f'configs/hourglass/hourglass{stacks}_mpii_{name}.py'
    assert fitting_config(result) == config
    cfg = Config.fromfile(config).model
    preprocessor = MODELS.build(cfg.data_preprocessor)
    given = MODELS.build(LAYOUTS[name].data_preprocessor)
    assert torch.equal(preprocessor.mean, given.mean) and torch.equal(preprocessor.std, given.std)
    mean = (0.4404, 0.4440, 0.4327) if name == 'bearpaw' else (0, 0, 0)
    assert preprocessor.mean.flatten().tolist() == pytest.approx([255 * m for m in mean])
    assert preprocessor.std.flatten().tolist() == [255] * 3


def test_the_printed_command_works_as_printed(tool, tmp_path, monkeypatch):
    net = randomised(Princeton(2))
    torch.save(net.state_dict(), tmp_path / 'published.pth')
    write_mpii(tmp_path / 'data/mpii', train=1, val=2)
    monkeypatch.chdir(tmp_path)
    status, out, _ = tool('published.pth', 'a folder/hg 2.pth')
    assert status == 0
    (command,) = re.findall(r'Test them:\n\n    (.*)\n', out)
    words = shlex.split(command)
    assert words[0] == 'mspose' and words[-1] == 'a folder/hg 2.pth'
    done = tiny_run.run([tiny_run.REPOSITORY / 'mspose_command.py', *words[1:]], tmp_path)
    assert done.status == 0, done.err
    assert 'PCKh' in done.out


def test_tool_reads_the_legacy_format_and_names_what_is_new(tool, tmp_path):
    _, checkpoint = published('bearpaw')
    checkpoint['state_dict'] = OrderedDict(
        (k, v) for k, v in checkpoint['state_dict'].items() if 'tracked' not in k
    )
    torch.save(checkpoint, tmp_path / 'best.pth.tar', _use_new_zipfile_serialization=False)
    status, out, _ = tool(
        tmp_path / 'best.pth.tar', tmp_path / 'hg.pth', '--levels', 2, 1, '--layout', 'bearpaw'
    )
    assert status == 0
    assert '14 tensors initialised' in out and '    stacks.1.coarse.0.2.bias\n' in out
    assert 'tensors set to 0' in out and '    stem.1.num_batches_tracked\n' in out
    assert 'mean=[112.302' in out and 'levels=(2, 1)' in out
    meta = load_checkpoint_file(tmp_path / 'hg.pth')['meta']
    assert meta['converted_from'] == 'bearpaw/pytorch-pose'


def test_tool_s_entries_initialise_a_resnest_bit_for_bit(tool, tmp_path):
    net, result = resnest()
    torch.save(net.state_dict(), tmp_path / 'resnest50-528c19ca.pth')
    dst = tmp_path / 'a folder' / ('long-' * 20 + 'name.pth')
    status, out, err = tool(tmp_path / 'resnest50-528c19ca.pth', dst)
    assert (status, err) == (0, '')
    assert '2 tensors dropped' in out and '\n    fc.weight\n    fc.bias\n' in out
    assert f'over {LAYOUTS["resnest"].configs[0]}:' in out
    entries = {}
    exec(out[out.index('model = ') : out.index('\n\nNote')], entries)
    model = MODELS.build(entries['model']['data_preprocessor'])
    assert model.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert model.std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])
    backbone = MODELS.build(entries['model']['backbone'])
    backbone.init_weights()
    state = backbone.state_dict()
    assert len(state) == len(result.state_dict)
    for key, value in result.state_dict.items():
        assert torch.equal(state[key.removeprefix('backbone.')], value), key
    status, _, err = tool(tmp_path / 'resnest50-528c19ca.pth', dst, '--levels', 1)
    assert status == 2 and 'resnest takes no option levels' in err and err.count('\n') == 1


def test_tool_s_errors_are_one_line_and_write_nothing(tool, tmp_path):
    src, dst = tmp_path / 'src.pth', tmp_path / 'dst.pth'
    torch.save(dict(state_dict=dict(a=torch.zeros(1))), src)
    for args, words in [
        ((tmp_path / 'none.pth', dst), 'none.pth: no such file'),
        ((src, dst), 'src.pth: the weights (first tensor: a)'),
        ((src, src), 'is SRC itself'),
        ((src, tmp_path), 'is a folder'),
    ]:
        status, out, err = tool(*args)
        assert (status, out) == (2, '') and err.startswith('error: ')
        assert words in err and err.count('\n') == 1
    torch.save(published('bearpaw', 1)[1], src)
    status, _, err = tool(src, src / 'below_a_file.pth')
    assert status == 2 and 'nothing can be written' in err and err.count('\n') == 1
    assert [p.name for p in tmp_path.iterdir()] == ['src.pth']


def test_tool_lists_the_layouts(tool):
    status, out, _ = tool('-h')
    assert status == 0 and all(name in out for name in LAYOUTS)
