"""What ``mspose predict`` makes of videos: drawn ones, and with --track a file of tracks."""

from __future__ import annotations

import argparse
import glob
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from mspose_plugin.apis.inputs import is_camera, is_video
from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.apis.tracking import TRACKERS
from mspose_plugin.apis.tracks import TrackFile
from mspose_plugin.apis.video import VideoWriter, frame_rate
from mspose_plugin.cli import arguments
from mspose_plugin.cli.output import track
from mspose_plugin.utils.checks import check

_ONLY_TRACKED = dict(tracker='ocsort', no_smooth=False, detect_every=1, fps=None)


def add_track_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--track`` and what goes with it."""
    group = parser.add_argument_group('people followed through a video')
    add = group.add_argument
    add('--track', action='store_true', help='write ids and smooth joints, and a file of tracks')
    add('--tracker', choices=TRACKERS, help='default: ocsort; botsort for a camera that moves')
    add('--no-smooth', action='store_true', default=None, help='leave the joints as predicted')
    add(
        '--detect-every',
        type=arguments.positive_int,
        metavar='N',
        help='look for people in every N-th frame, in between around their last pose (default: 1)',
    )
    add(
        '--fps',
        type=arguments.number(0.1, 1000),
        help='frames per second (default: the video\'s; 25 for a folder of frames or a camera)',
    )


def settle_track_arguments(args: argparse.Namespace) -> None:
    """Fill in the defaults of :func:`add_track_arguments`.

    Args:
        args: the command's.

    Raises:
        InputError: an option that does nothing without ``--track``.
    """
    for name, default in _ONLY_TRACKED.items():
        if getattr(args, name) is None:
            setattr(args, name, default)
        else:
            check(args.track, f'--{name.replace("_", "-")}: only with --track')


def written(
    predictor: PosePredictor,
    given: str,
    name: Callable[[str | None, str], str],
    picture: Callable[[PoseResult], np.ndarray],
    args: argparse.Namespace,
) -> Iterator[PoseResult]:
    """Predict on a sequence of frames, write what was asked for, and pass the results on.

    Args:
        predictor: finds the keypoints.
        given: the input.
        name: takes a path and an ending, returns the name of a file to write.
        picture: draws a frame.
        args: the command's.

    Yields:
        The results, frame by frame.

    Raises:
        InputError: the input is no sequence of frames, or cannot be read.
    """
    rate, count = frame_rate(given) if is_video(given) else (25.0, None)
    stem = str(Path(given).parent) if glob.has_magic(given) else given
    if not args.track:
        frames = track(predictor.stream(given, args.boxes), given, count)
        yield from _drawn(frames, given, VideoWriter(name(stem, '.mp4'), rate), picture)
        return
    rate = args.fps or rate
    options = dict(tracker=args.tracker, smooth=not args.no_smooth, detect_every=args.detect_every)
    results = predictor.track(given, args.boxes, rate=rate, **options)
    tracks, start = TrackFile(given, rate), time.monotonic()
    frames = track(results, given, count)
    for result in _drawn(frames, given, VideoWriter(name(stem, '.mp4'), rate), picture):
        tracks.add(result)
        yield result
    speed = tracks.frames / (time.monotonic() - start)
    tracks.write(name(stem, '.json'), speed=round(speed, 3), model=args.model, **options)
    found = f'{tracks.people} people in {tracks.frames} frames'
    print(f'{given}: {found}, {speed:.1f} frames per second')


def _drawn(
    results: Iterable[PoseResult],
    given: str,
    video: VideoWriter,
    picture: Callable[[PoseResult], np.ndarray],
) -> Iterator[PoseResult]:
    """Write the frames to a video; Ctrl-C ends that of a camera."""
    drawn = None
    with video:
        try:
            for result in results:
                drawn = drawn if result.fault else picture(result)
                if drawn is not None:  # a broken frame repeats the one before
                    video.write(drawn)
                yield result
        except KeyboardInterrupt:
            if not is_camera(given):
                raise
        check(drawn is not None, f'input {given}: no frame can be read')
