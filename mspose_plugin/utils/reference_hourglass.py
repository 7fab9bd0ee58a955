"""The stacked hourglass as two repositories publish it, written anew from its description.

Newell, Yang, Deng, ECCV 2016: recursive, plain, with nothing of MSSPose in it. The modules are
named so that ``state_dict()`` has the keys of the published checkpoints. Used to test
``MultiScaleHourglass`` and the converter, and by ``tools/benchmark.py`` for comparison.
"""

import torch
import torch.nn.functional as F
from torch import nn


def named(**modules):
    """Return a container that gives its modules their names in the checkpoint."""
    return nn.ModuleDict(modules)


class Block(nn.Module):
    """Three times batch norm, ReLU and convolution (1x1 to half the width, 3x3, 1x1)."""

    def __init__(self, width_in, width_out):
        super().__init__()
        half = width_out // 2
        for i, (a, b, k) in enumerate(
            [(width_in, half, 1), (half, half, 3), (half, width_out, 1)], start=1
        ):
            self.add_module(f'bn{i}', nn.BatchNorm2d(a))
            self.add_module(f'conv{i}', self.wrap(nn.Conv2d(a, b, k, padding=k // 2)))
        self.changes_width = width_in != width_out
        self.add_projection(nn.Conv2d(width_in, width_out, 1))

    def forward(self, x):
        out = x
        for i in '123':
            out = F.relu(getattr(self, f'bn{i}')(out), inplace=True)
            out = self.unwrap(getattr(self, f'conv{i}'))(out)
        return out + (self.project(x) if self.changes_width else x)


class PrincetonBlock(Block):
    """Holds a projection also where it is not used."""

    def wrap(self, conv):
        return named(conv=conv)

    def unwrap(self, module):
        return module['conv']

    def add_projection(self, conv):
        self.skip_layer = named(conv=conv)

    def project(self, x):
        return self.skip_layer['conv'](x)


class BearpawBlock(Block):
    """Holds a projection only where the width changes."""

    def wrap(self, conv):
        return conv

    unwrap = wrap

    def add_projection(self, conv):
        if self.changes_width:
            self.downsample = nn.Sequential(conv)

    def project(self, x):
        return self.downsample(x)


class Princeton(nn.Module):
    """princeton-vl/pytorch_stacked_hourglass; takes [B, 3, H, W]."""

    def __init__(self, stacks, width=256, keypoints=16, depth=4):
        super().__init__()

        def hourglass(levels):
            if levels == 0:
                return PrincetonBlock(width, width)
            return named(
                up1=PrincetonBlock(width, width),
                low1=PrincetonBlock(width, width),
                low2=hourglass(levels - 1),
                low3=PrincetonBlock(width, width),
            )

        self.pre = nn.ModuleList(
            [
                named(conv=nn.Conv2d(3, 64, 7, 2, 3), bn=nn.BatchNorm2d(64)),
                PrincetonBlock(64, 128),
                nn.MaxPool2d(2),
                PrincetonBlock(128, 128),
                PrincetonBlock(128, width),
            ]
        )
        self.hgs = nn.ModuleList(nn.ModuleList([hourglass(depth)]) for _ in range(stacks))
        self.features = nn.ModuleList(
            nn.ModuleList(
                [
                    PrincetonBlock(width, width),
                    named(conv=nn.Conv2d(width, width, 1), bn=nn.BatchNorm2d(width)),
                ]
            )
            for _ in range(stacks)
        )
        self.outs = nn.ModuleList(named(conv=nn.Conv2d(width, keypoints, 1)) for _ in range(stacks))
        self.merge_features, self.merge_preds = (
            nn.ModuleList(named(conv=named(conv=nn.Conv2d(c, width, 1))) for _ in range(stacks - 1))
            for c in (width, keypoints)
        )

    @staticmethod
    def conv_bn_relu(module, x):
        return F.relu(module['bn'](module['conv'](x)), inplace=True)

    def hourglass(self, module, x):
        if isinstance(module, Block):
            return module(x)
        low = self.hourglass(module['low2'], module['low1'](F.max_pool2d(x, 2)))
        return module['up1'](x) + F.interpolate(module['low3'](low), scale_factor=2)

    def forward(self, x):
        x = self.conv_bn_relu(self.pre[0], x)
        for module in self.pre[1:]:
            x = module(x)
        outputs = []
        for i, out in enumerate(self.outs):
            block, last = self.features[i]
            features = self.conv_bn_relu(last, block(self.hourglass(self.hgs[i][0], x)))
            outputs.append(out['conv'](features))
            if i + 1 < len(self.outs):
                x = (
                    x
                    + self.merge_features[i]['conv']['conv'](features)
                    + self.merge_preds[i]['conv']['conv'](outputs[-1])
                )
        return outputs


class Bearpaw(nn.Module):
    """bearpaw/pytorch-pose with one residual per place."""

    def __init__(self, stacks, width=256, keypoints=16, depth=4):
        super().__init__()

        def block(a=width, b=width):
            return nn.Sequential(BearpawBlock(a, b))

        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64)
        self.layer1, self.layer2, self.layer3 = block(64, 128), block(128, width), block()
        # hg.<stack>.hg.<level, 0 is the coarsest>.<upper, down, up, bottom>
        self.hg = nn.ModuleList(
            named(
                hg=nn.ModuleList(
                    nn.ModuleList(block() for _ in range(3 if level else 4))
                    for level in range(depth)
                )
            )
            for _ in range(stacks)
        )
        self.res = nn.ModuleList(block() for _ in range(stacks))
        self.fc = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU())
            for _ in range(stacks)
        )
        self.score = nn.ModuleList(nn.Conv2d(width, keypoints, 1) for _ in range(stacks))
        self.fc_ = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(stacks - 1))
        self.score_ = nn.ModuleList(nn.Conv2d(keypoints, width, 1) for _ in range(stacks - 1))

    def hourglass(self, levels, x):
        *coarser, (upper, down, up, *bottom) = levels
        low = down(F.max_pool2d(x, 2))
        # the coarsest level alone has a block in place of a further hourglass
        low = bottom[0](low) if bottom else self.hourglass(coarser, low)
        return upper(x) + F.interpolate(up(low), scale_factor=2)

    def forward(self, x):
        x = self.layer1(F.relu(self.bn1(self.conv1(x))))
        x = self.layer3(self.layer2(F.max_pool2d(x, 2)))
        outputs = []
        for i, hg in enumerate(self.hg):
            features = self.fc[i](self.res[i](self.hourglass(hg['hg'], x)))
            outputs.append(self.score[i](features))
            if i + 1 < len(self.hg):
                x = x + self.fc_[i](features) + self.score_[i](outputs[-1])
        return outputs


def randomised(network, seed=0):
    """Give every tensor of a network a value of its own that keeps activations in range."""
    generator = torch.Generator().manual_seed(seed)

    def draw(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                draw(module.weight, 0.5, 1.5)
                draw(module.running_var, 0.5, 1.5)
                draw(module.running_mean, -0.3, 0.3)
                draw(module.bias, -0.3, 0.3)
                module.num_batches_tracked.fill_(7)
            elif isinstance(module, nn.Conv2d):
                bound = (0.5 / module.weight[0].numel()) ** 0.5
                draw(module.weight, -bound, bound)
                draw(module.bias, -0.1, 0.1)
    return network
