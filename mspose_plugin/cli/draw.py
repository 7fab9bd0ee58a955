"""Draw pictures that show what a network does and what it learns from.

Each KIND is one picture, from one command; mspose draw KIND --help shows its arguments.
"""

from __future__ import annotations

import argparse

from mspose_plugin.cli.pictures import heatmaps, masking, pck, predictions, regression, skeleton

KINDS = dict(
    predictions=(predictions, 'what a model predicts on persons of the test set'),
    heatmaps=(heatmaps, "one person's heatmaps, of every stack and level"),
    regression=(regression, 'heatmaps before and after the regression network'),
    masking=(masking, 'what keypoint masking does to training images'),
    skeleton=(skeleton, 'the skeletal graph with the groups of the structure-aware loss'),
    pck=(pck, 'PCKh or PCK over thresholds, of several results'),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command for each kind."""
    kinds = parser.add_subparsers(dest='kind', metavar='KIND', required=True)
    for name, (module, what) in KINDS.items():
        kind = kinds.add_parser(
            name,
            help=what,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_to(kind)


def main(args: argparse.Namespace) -> None:
    """Draw the picture."""
    KINDS[args.kind][0].draw(args)
