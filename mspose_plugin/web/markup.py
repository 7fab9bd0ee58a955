"""Parts of the page that are more than one picture, as HTML with the pictures inside.

So they wrap in a narrow window, and no file of them is left anywhere.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

import cv2
import numpy as np

from mspose_plugin.apis.heatmaps import PersonHeatmaps, overlay
from mspose_plugin.apis.pose_result import PoseResult
from mspose_plugin.web.view import View

CELL = 256
"""Longer side of a small picture in pixels."""
CSS = """
.cells {display: grid; gap: 10px; margin: 4px 0 14px;
        grid-template-columns: repeat(auto-fill, minmax(min(220px, 44%), 1fr))}
.cells.large {grid-template-columns: repeat(auto-fill, minmax(min(320px, 90%), 1fr))}
.cells figure {margin: 0; max-width: 256px}
.cells.large figure {max-width: 420px}
.cells img {width: 100%; display: block; border-radius: 4px; image-rendering: pixelated}
.cells figcaption {font-size: 0.8rem; line-height: 1.3; padding-top: 3px;
                   color: var(--body-text-color)}
.cells .used img {outline: 3px solid #16a34a}
.cells .unused img {opacity: 0.55}
.row-name {font-weight: 600; margin: 6px 0 4px; color: var(--body-text-color)}
.quiet {color: var(--body-text-color-subdued)}
#joints table {border-collapse: collapse; font-size: 0.85rem; width: 100%; max-width: 640px}
#joints td, #joints th {padding: 3px 8px; text-align: right; border: none}
#joints tr {border-bottom: 1px solid var(--border-color-primary)}
#joints td:first-child, #joints th:first-child {text-align: left}
#joints .bar {display: inline-block; height: 0.6em; background: #2563eb; border-radius: 2px}
#joints .low {opacity: 0.5}
"""


def words(name: str) -> str:
    """Return a keypoint's name as text: ``'left_elbow'`` becomes ``'left elbow'``."""
    return name.replace('_', ' ')


def heatmap_grid(heatmaps: PersonHeatmaps, keypoint: str) -> str:
    """Return all heatmaps of a joint: a row for each prediction, coarse to fine.

    Args:
        heatmaps: of a person.
        keypoint: name of the joint.
    """
    rows = []
    for name, levels in heatmaps.of(keypoint).items():
        cells = [_heatmap(heatmaps.image, level) for level in levels]
        rows.append(f'<div class="row-name">{escape(name.capitalize())}</div>{_grid(cells)}')
    last = list(heatmaps.predictions)[-1]
    note = f'The finest heatmap of the last row ({escape(last)}) gives the joint.'
    return ''.join(rows) + f'<p class="quiet">{note}</p>'


def before_and_after(heatmaps: PersonHeatmaps, keypoint: str) -> str:
    """Return the finest heatmaps of the last two predictions: with MSR-net, the regression's.

    Args:
        heatmaps: of a person.
        keypoint: name of the joint.
    """
    maps = list(heatmaps.of(keypoint).items())[-2:]
    if len(maps) < 2:
        return quiet('This network has one prediction: there is nothing before it.')
    cells = [
        _heatmap(heatmaps.image, levels[-1], escape(name.capitalize())) for name, levels in maps
    ]
    return _grid(cells, 'large')


def trials(view: View, person: int, keypoint: str) -> str:
    """Return what conditional testing tried for a joint, and what of it was fused.

    Args:
        view: what is looked at.
        person: number of the person, from 0.
        keypoint: name of the joint.
    """
    tried, k = view.shown.trials, view.shown.names.index(keypoint)
    if view.thresholds is None or tried is None:
        return quiet('Conditional testing is off: one estimate from one crop.')
    scores, tau = tried.scores[person, :, k], view.thresholds[k]
    made = np.isfinite(tried.keypoints[person, :, k, 0])
    first = f'{words(keypoint)}: {scores[0]:.2f} at the first estimate, threshold {tau:.2f}'
    if not made[1:].any():
        return quiet(f'{first}. All joints of this person reached their thresholds: no other crop.')
    used = tried.counts[person, :, k]
    if scores[0] >= tau:
        end = 'sure enough, so the first estimate stays; the others are for other joints.'
    else:
        end = f'{used.sum()} of {made.sum()} estimates agree and are fused: the outlined ones.'
    cells = [
        (
            _trial(view.shown, tried.crops[person, t], tried.keypoints[person, t, k]),
            f'{_moved(tried.crops[person, 0], tried.crops[person, t])}<br>score {scores[t]:.2f}',
            'used' if used[t] else 'unused',
        )
        for t in np.flatnonzero(made)
    ]
    return f'<p>{escape(first)}; {end}</p>{_grid(cells)}'


def joint_table(view: View, person: int, min_score: float) -> str:
    """Return a table of a person's joints.

    Args:
        view: what is looked at.
        person: number of the person, from 0.
        min_score: joints with a lower score, which are not drawn, are pale.
    """
    if person >= len(view.result):
        return ''
    rows = []
    for name, (x, y, score) in view.result[person].items():
        low = ' class="low"' if score < min_score else ''
        bar = f'<span class="bar" style="width: {4 * min(max(score, 0), 1):.2f}em"></span>'
        rows.append(
            f'<tr{low}><td>{escape(words(name))}</td><td>{x:.1f}</td><td>{y:.1f}</td>'
            f'<td>{score:.2f}</td><td style="text-align: left">{bar}</td></tr>'
        )
    head = '<tr><th>joint</th><th>x</th><th>y</th><th>score</th><th></th></tr>'
    return f'<table>{head}{"".join(rows)}</table>'


def _heatmap(image: np.ndarray, heatmap: np.ndarray, name: str = '') -> tuple[str, str, str]:
    height, width = heatmap.shape
    caption = f'{width} × {height}, peak {heatmap.max():.2f}'
    factor = CELL / max(image.shape[:2])
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    name = f'<b>{escape(name.capitalize())}</b> ' if name else ''
    return _data(overlay(image, heatmap)), name + caption, ''


def _trial(shown: PoseResult, crop: np.ndarray, joint: np.ndarray) -> str:
    """Return the picture of a crop with the joint in it; grey where there is no image."""
    x1, y1, x2, y2 = crop.astype(float).tolist()
    factor = CELL / max(x2 - x1, y2 - y1, 1)
    size = max(1, round((x2 - x1) * factor)), max(1, round((y2 - y1) * factor))
    to_cell = np.array([[factor, 0, -x1 * factor], [0, factor, -y1 * factor]])
    picture = cv2.warpAffine(shown.image, to_cell, size, borderValue=(128, 128, 128))
    x, y = ((joint - crop[:2]) * factor).round().astype(int).tolist()
    for radius, colour in ((7, (0, 0, 0)), (5, (0, 220, 255))):
        cv2.circle(picture, (x, y), radius, colour, -1, cv2.LINE_AA)
    return _data(picture)


def _moved(first: np.ndarray, crop: np.ndarray) -> str:
    """Say how a crop differs from the first one."""
    first, crop = np.reshape(first, (2, 2)), np.reshape(crop, (2, 2))
    sizes = first[1] - first[0], crop[1] - crop[0]
    shares = (crop.mean(axis=0) - first.mean(axis=0)) / sizes[0]
    names = (('to the left', 'to the right'), ('up', 'down'))
    parts = [
        f'{abs(share):.0%} {name[int(share > 0)]}'
        for share, name in zip(shares.tolist(), names)
        if abs(share) > 0.004
    ]
    factor = float(sizes[1][0] / sizes[0][0])
    parts += [f'{factor:.2f} times as large'] * (abs(factor - 1) > 0.004)
    return ', '.join(parts) or 'the given crop'


def _grid(cells: Iterable[tuple[str, str, str]], more: str = '') -> str:
    figures = (
        f'<figure class="{kind}"><img src="{source}" alt="">'
        f'<figcaption>{caption}</figcaption></figure>'
        for source, caption, kind in cells
    )
    return f'<div class="cells {more}">{"".join(figures)}</div>'


def _data(picture: np.ndarray) -> str:
    data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    return 'data:image/jpeg;base64,' + base64.b64encode(data).decode()


def quiet(text: str) -> str:
    """Return a paragraph that says that there is nothing to see, and why."""
    return f'<p class="quiet">{escape(text)}</p>'
