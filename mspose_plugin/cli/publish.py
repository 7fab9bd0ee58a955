"""Make a checkpoint small and safe to hand on: its weights alone.

Optimizer, schedule, history and message hub are left out, as in MMPose's publish_model.py. A name
that ends in .safetensors gives a file that cannot hold code; --half stores the weights as float16,
which networks load as float32.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os.path as osp

import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save
from torch import Tensor

from mspose_plugin.checkpoint.convert import weights_of
from mspose_plugin.cli import arguments
from mspose_plugin.utils.checks import check
from mspose_plugin.utils.files import write_file

_HALF_MAX = torch.finfo(torch.float16).max


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    arguments.add_checkpoint(parser)
    parser.add_argument(
        'dst',
        metavar='DST',
        type=arguments.writable_file('.pth', '.safetensors'),
        help='file to write, .pth or .safetensors',
    )
    parser.add_argument('--half', action='store_true', help='store the weights as float16')


def main(args: argparse.Namespace) -> None:
    """Write the file and say how large it is."""
    itself = osp.realpath(args.checkpoint) == osp.realpath(args.dst)
    check(not itself, f'DST {args.dst}: is CHECKPOINT itself; name another file')
    checkpoint = CheckpointLoader.load_checkpoint(args.checkpoint, 'cpu', logger='silent')
    state = weights_of(checkpoint, args.checkpoint)
    if args.half:
        state = {name: _halved(name, value) for name, value in state.items()}
    data = _serialized(state, args.dst)
    write_file(args.dst, data)
    count = sum(value.numel() for value in state.values())
    digest = hashlib.sha256(data).hexdigest()[:8]
    print(
        f'wrote {args.dst}: {count / 1e6:.2f} M numbers, {len(data) / 1e6:.1f} MB, SHA-256 {digest}'
    )


def _halved(name: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    largest = float(value.abs().max()) if value.numel() else 0.0
    check(largest <= _HALF_MAX, f'{name}: {largest:g} is too large for float16; omit --half')
    return value.half()


def _serialized(state: dict[str, Tensor], dst: str) -> bytes:
    state = {name: value.contiguous() for name, value in state.items()}
    if dst.endswith('.safetensors'):
        return save(state)
    buffer = io.BytesIO()
    torch.save(dict(meta={}, state_dict=state), buffer)
    return buffer.getvalue()
