"""Measure what something costs.

Each comparison runs its two sides by turns (A B, B A, A B, …) in one process and reports the
median of the ratios of neighbours, so that a machine that others use as well changes the times
and hardly the ratio; or that of their differences, where the aim is a time. The times of the two
sides are for orientation only.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from timeit import Timer

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, MODELS, TRANSFORMS
from mmpose.structures import PoseDataSample
from torch import Tensor
from torch.utils.benchmark import timer

import mspose_plugin  # noqa: F401  registers the components
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import load_config, require
from mspose_plugin.cli.output import show_table, track
from mspose_plugin.cli.running import run
from mspose_plugin.export.description import describe
from mspose_plugin.export.formats import FORMATS, ExportedFile, write
from mspose_plugin.export.graph import PoseGraph
from mspose_plugin.skeletons import GROUPS
from mspose_plugin.utils import untrained
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_json
from mspose_plugin.utils.reference_hourglass import Princeton

COMPARE = {
    'ratio': lambda baseline, candidate: candidate / baseline,
    'ms': lambda baseline, candidate: candidate - baseline,
}
"""How the times of two sides, in ms, become the value that a target is for."""


@dataclass
class Comparison:
    """Two ways to do the same work.

    Attributes:
        name (str): what is compared.
        baseline (Callable[[], None]): one repetition without the addition.
        candidate (Callable[[], None]): one repetition with it.
        target (float, optional): the largest value that is aimed at.
        unit (str): of the value: ``'ratio'`` of the times, or ``'ms'`` of their difference.
    """

    name: str
    baseline: Callable[[], object]
    candidate: Callable[[], object]
    target: float | None = None
    unit: str = 'ratio'


@dataclass
class Row:
    """A line of the table; times in milliseconds."""

    name: str
    baseline_ms: float
    candidate_ms: float
    value: float
    quartiles: tuple[float, float]
    unit: str
    target: float | None
    holds: bool | None

    def cells(self) -> list[str]:
        """Return the line, as :func:`show_table` takes it."""
        first, third = self.quartiles
        held = 'held' if self.holds else 'missed'
        return [
            self.name,
            f'{self.baseline_ms:.2f} ms',
            f'{self.candidate_ms:.2f} ms',
            f'{self.value:.3f} {self.unit}',
            f'{first:.3f}-{third:.3f}',
            '' if self.target is None else f'<= {self.target:.2f} {held}',
        ]


def _processor_time() -> float:
    timer()  # waits for a GPU
    return time.process_time()


CLOCKS = {'wall': timer, 'cpu': _processor_time}


def measure(comparison: Comparison, repeats: int, clock: str) -> Row:
    """Run a comparison.

    Args:
        comparison: what to run.
        repeats: number of pairs; two more come before them to warm up.
        clock: ``'wall'``, or ``'cpu'`` for the processor time of this process.

    Returns:
        Medians and quartiles over the pairs.
    """
    sides = [
        Timer(side, timer=CLOCKS[clock]) for side in (comparison.baseline, comparison.candidate)
    ]
    times = np.zeros((repeats + 2, 2))
    for i in track(range(len(times)), comparison.name, len(times)):
        for side in (0, 1) if i % 2 else (1, 0):
            times[i, side] = sides[side].timeit(1) * 1e3
    values = COMPARE[comparison.unit](*times[2:].T)
    first, value, third = np.percentile(values, (25, 50, 75)).tolist()
    target = comparison.target
    return Row(
        comparison.name,
        *np.median(times[2:], axis=0).tolist(),
        value,
        (first, third),
        comparison.unit,
        target,
        None if target is None else value <= target,
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--repeats', type=arguments.positive_int, default=20, help='pairs (default: %(default)s)'
    )
    parser.add_argument(
        '--device',
        type=arguments.device,
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='default: a GPU where there is one',
    )
    parser.add_argument(
        '--clock',
        choices=list(CLOCKS),
        default='wall',
        help='cpu: processor time, steadier on a shared machine without a GPU (default: wall)',
    )
    arguments.add_out(parser, ('.json',), 'the table')


def _add_sizes(parser: argparse.ArgumentParser, batch: int) -> None:
    add, whole = parser.add_argument, arguments.whole_number
    add('--stacks', type=whole(1, 64), default=8, help='default: 8')
    add('--input-size', type=whole(64, 2048), default=256, help='pixels (default: 256)')
    add('--batch', type=whole(1), default=batch, help=f'default: {batch}')
    add('--norm', choices=['mse', 'l2'], default='mse', help='default: mse')
    add('--combine', choices=['sum', 'max'], default='sum', help='default: sum')


def _add_alpha(parser: argparse.ArgumentParser, alpha: float) -> None:
    text = f'weight of the structural term (default: {alpha:g})'
    parser.add_argument('--alpha', type=arguments.number(0), default=alpha, help=text)


def _add_hourglass(parser: argparse.ArgumentParser) -> None:
    _add_sizes(parser, batch=2)
    width = arguments.whole_number(2, 4096)
    parser.add_argument('--channels', type=width, default=256, help='default: 256')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    _add_alpha(parser, 0.0)


def _hourglass(args: argparse.Namespace) -> list[Comparison]:
    """MultiScaleHourglass and MSSHead against the published network, which has no levels."""
    fits = args.input_size % 64 == 0
    check(fits, f'--input-size {args.input_size}: expected a multiple of 64')
    plain = Princeton(args.stacks, args.channels).to(args.device)
    ours = MODELS.build(
        dict(
            type='MultiScaleHourglass',
            num_stacks=args.stacks,
            channels=args.channels,
            stem_channels=(64, 128, 128),
        )
    ).to(args.device)
    head = _head(args, args.alpha)
    images = torch.rand(args.batch, 3, args.input_size, args.input_size, device=args.device)
    samples = _square_samples(args)
    target = torch.stack([s.gt_fields.heatmaps for s in samples])

    def plain_loss() -> Tensor:
        return sum((h.float() - target).square().sum((2, 3)).mean() for h in plain(images))

    def our_loss() -> Tensor:
        return _total(head.loss(ours(images), samples))

    def forward(net: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            net.eval()
            with torch.no_grad(), _autocast(args):
                net(images)

        return run

    def step(net: torch.nn.Module, loss: Callable[[], Tensor]) -> Callable[[], object]:
        # so small a rate that the weights stay as they are, however many repeats
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-12, momentum=0.9)

        def run() -> None:
            net.train()
            optimizer.zero_grad()
            with _autocast(args):
                value = loss()
            value.backward()
            optimizer.step()

        return run

    return [
        Comparison('forward', forward(plain), forward(ours), 1.03),
        Comparison('training step', step(plain, plain_loss), step(ours, our_loss), 1.03),
    ]


def _add_loss(parser: argparse.ArgumentParser) -> None:
    _add_sizes(parser, batch=8)
    _add_alpha(parser, 0.1)


def _loss(args: argparse.Namespace) -> list[Comparison]:
    """MSSHead's loss with the structural term against the same without."""
    samples = _square_samples(args)
    finest = args.input_size // 4
    maps = [
        [
            torch.rand(
                args.batch,
                16,
                finest // level,
                finest // level,
                device=args.device,
                requires_grad=True,
            )
            for level in (8, 4, 2, 1)
        ]
        for _ in range(args.stacks)
    ]
    leaves = [h for stack in maps for h in stack]

    def run(alpha: float) -> Callable[[], object]:
        head = _head(args, alpha)
        return lambda: torch.autograd.grad(_total(head.loss(maps, samples)), leaves)

    return [Comparison('head.loss and its gradient', run(0.0), run(args.alpha), 1.05)]


def _head(args: argparse.Namespace, alpha: float) -> torch.nn.Module:
    loss = dict(
        type='StructureAwareLoss',
        groups=GROUPS['mpii'],
        alpha=alpha,
        norm=args.norm,
        combine=args.combine,
    )
    return MODELS.build(dict(type='MSSHead', loss=loss)).to(args.device)


def _add_masking(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(repeats=500, device='cpu')


def _masking(args: argparse.Namespace) -> list[Comparison]:
    """KeypointMasking on an image of 256x256 pixels: the crop alone and with it."""
    cv2.setNumThreads(1)  # as in a data-loading process
    crop, masking = (
        TRANSFORMS.build(cfg)
        for cfg in (dict(type='TopdownAffine', input_size=(256, 256)), dict(type='KeypointMasking'))
    )
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (480, 640, 3), np.uint8)

    def persons() -> Iterator[dict]:
        """Yield people whose keypoints spread over half of the crop's height, ever the same."""
        draw = np.random.default_rng(1)
        while True:
            yield dict(
                img=image,
                img_shape=image.shape[:2],
                bbox_center=np.array([[320.0, 240.0]]),
                bbox_scale=np.array([[300.0, 300.0]]),
                bbox_rotation=np.zeros(1),
                keypoints=draw.normal((320, 240), (20, 40), (1, 16, 2)),
                keypoints_visible=np.ones((1, 16)),
            )

    without, masked = persons(), persons()
    return [
        Comparison(
            'KeypointMasking, one image',
            lambda: crop(next(without)),
            lambda: masking(crop(next(masked))),
            1.0,
            'ms',
        )
    ]


def _add_parts(parser: argparse.ArgumentParser) -> None:
    arguments.add_config(parser)
    parser.add_argument('--batch', type=arguments.positive_int, default=2, help='default: 2')


def _parts(args: argparse.Namespace) -> Iterator[Comparison]:
    """A config's training step against its parts' on their own; the head's share of a forward."""
    cfg = load_config(args.config, args.cfg_options)
    model = untrained.build(cfg).to(args.device)
    codec = untrained.codec(cfg)
    *body, head = untrained.parts(model).values()
    width, height = codec['input_size']
    images = torch.rand(args.batch, 3, height, width, device=args.device)
    samples = _samples(args, _num_keypoints(cfg), codec['heatmap_size'])
    model.train()
    steps, features = [], images
    for part in body:
        outputs = _cut_off(part, features)
        steps.append(_pass(part, features, outputs))
        features = outputs

    def whole() -> None:
        model.zero_grad()
        _total(model.loss(images, samples)).backward()

    def apart() -> None:
        model.zero_grad()
        for step in steps:
            step()
        for tensor in _tensors(features):
            tensor.grad = None
        _total(head.loss(features, samples, train_cfg=model.train_cfg or {})).backward()

    yield Comparison('training step against its parts', apart, whole, 1.05)

    model.eval()  # here, since the comparison above has been measured by now

    def forward(run: Callable[[], object]) -> Callable[[], None]:
        def without_gradients() -> None:
            with torch.no_grad():
                run()

        return without_gradients

    yield Comparison(
        'head against the whole forward',
        forward(lambda: model(images, None, mode='tensor')),
        forward(lambda: head(features)),
    )


def _cut_off(part: torch.nn.Module, inputs: object) -> object:
    """Return a part's output, cut off from it, with gradients for what would have some."""
    needs = [tensor.requires_grad for tensor in _tensors(part(inputs))]
    with torch.no_grad():
        outputs = part(inputs)
    for tensor, need in zip(_tensors(outputs), needs):
        tensor.requires_grad_(need)
    return outputs


def _pass(part: torch.nn.Module, inputs: object, outputs: object) -> Callable[[], None]:
    """Return what runs a part forward and, from gradients of 1 for ``outputs``, backward."""
    gradients = [torch.ones_like(t) for t in _tensors(outputs) if t.requires_grad]

    def run() -> None:
        for tensor in _tensors(inputs):
            tensor.grad = None
        reached = [t for t in _tensors(part(inputs)) if t.requires_grad]
        torch.autograd.backward(reached, gradients)

    return run


def _tensors(value: object) -> Iterator[Tensor]:
    """Find the tensors in nested sequences."""
    if isinstance(value, Tensor):
        yield value
    elif value is not None:
        for item in value:
            yield from _tensors(item)


def _num_keypoints(cfg: Config) -> int:
    """Return how many keypoints the training data have."""
    require(cfg, 'train_dataloader.dataset.type')  # which says how many keypoints there are
    dataset = cfg.train_dataloader.dataset
    metainfo = dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO
    return parse_pose_metainfo(metainfo)['num_keypoints']


def _square_samples(args: argparse.Namespace) -> list[PoseDataSample]:
    return _samples(args, 16, (args.input_size // 4, args.input_size // 4))


def _samples(
    args: argparse.Namespace, keypoints: int, size: tuple[int, int]
) -> list[PoseDataSample]:
    """Return a batch with random heatmaps of ``size`` (width, height)."""
    maps = torch.rand(args.batch, keypoints, *size[::-1], device=args.device)
    weights = torch.ones(1, keypoints, device=args.device)
    return [
        PoseDataSample(
            gt_fields=PixelData(heatmaps=heatmaps),
            gt_instance_labels=InstanceData(keypoint_weights=weights),
        )
        for heatmaps in maps
    ]


def _total(losses: dict[str, Tensor]) -> Tensor:
    return sum(value for name, value in losses.items() if name.startswith('loss'))


def _autocast(args: argparse.Namespace):
    kind = torch.device(args.device).type
    return torch.autocast(kind, dtype=torch.bfloat16) if args.amp else nullcontext()


def _add_export(parser: argparse.ArgumentParser) -> None:
    arguments.add_config(parser)
    parser.set_defaults(device='cpu')
    parser.add_argument('--batch', type=arguments.positive_int, default=1, help='default: 1')
    parser.add_argument(
        '--formats',
        nargs='+',
        choices=list(FORMATS),
        default=['onnx', 'openvino'],
        help='default: onnx openvino',
    )


def _export(args: argparse.Namespace) -> Iterator[Comparison]:
    """A config's network in PyTorch, in float32, against its exported files."""
    from mmpose.apis.inference import dataset_meta_from_config  # after the plugin's adaptations

    cfg = load_config(args.config, args.cfg_options)
    model, meta = untrained.build(cfg).eval(), dataset_meta_from_config(cfg, 'test')
    check(meta, f'config {args.config}: no test set, which names the keypoints')
    with tempfile.TemporaryDirectory() as folder:
        for name in args.formats:
            kind = FORMATS[name]
            for precision in kind.precisions:
                described = describe(cfg, meta, 'normalized', 'heatmaps', precision)
                graph = PoseGraph(model, described).eval()
                path = f'{folder}/{precision}{kind.ending}'
                write(graph, name, path, [graph.example(4)])
                yield _comparison(graph, ExportedFile(path, trust_code=True), args, name)


def _comparison(
    graph: PoseGraph, exported: ExportedFile, args: argparse.Namespace, name: str
) -> Comparison:
    images, precision = graph.example(args.batch).to(args.device), graph.description.precision
    graph.to(args.device)

    def eager() -> None:
        with torch.no_grad():
            graph(images)

    # the aim is for what is fastest and needs no calibration
    target = 0.4 if (name, precision) == ('openvino', 'bf16') else None
    what = f'{name} {precision} against PyTorch, batch {args.batch}'
    return Comparison(what, eager, lambda: exported(images), target)


BENCHMARKS: dict[str, tuple[Callable, Callable]] = {
    'hourglass': (_add_hourglass, _hourglass),
    'loss': (_add_loss, _loss),
    'masking': (_add_masking, _masking),
    'parts': (_add_parts, _parts),
    'export': (_add_export, _export),
}
"""Sub-command: what adds its arguments, and what makes its comparisons of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands and their arguments."""
    commands = parser.add_subparsers(dest='benchmark', required=True)
    for name, (add, make) in BENCHMARKS.items():
        command = commands.add_parser(name, help=make.__doc__.rstrip('.'), description=make.__doc__)
        _add_common(command)
        add(command)


def main(args: argparse.Namespace) -> None:
    """Measure, print the table and write it."""
    torch.manual_seed(0)
    comparisons = BENCHMARKS[args.benchmark][1](args)
    rows = [measure(comparison, args.repeats, args.clock) for comparison in comparisons]
    show_table(
        ['', 'baseline', 'candidate', 'value', 'quartiles', 'target'], [row.cells() for row in rows]
    )
    if args.out:
        gpu = args.device.startswith('cuda')
        name = torch.cuda.get_device_name(args.device) if gpu else platform.processor()
        environment = dict(
            torch=torch.__version__,
            device=name or platform.machine(),
            threads=torch.get_num_threads(),
        )
        result = dict(
            benchmark=args.benchmark,
            arguments=vars(args),
            rows=[asdict(row) for row in rows],
            environment=environment,
        )
        write_json(args.out, result, indent=2)


if __name__ == '__main__':
    run(sys.modules[__name__])
