"""What the page answers when something on it is touched; the values go to Gradio's components."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import gradio as gr

from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.utils.errors import InputError
from mspose_plugin.web import markup
from mspose_plugin.web.uploads import Limits
from mspose_plugin.web.view import (
    DETECTED,
    DRAWN,
    WHOLE,
    View,
    draw,
    heatmaps_of,
    joint_at,
    look,
    summary,
    write_json,
    write_picture,
)

START = 'Drop an image, paste one, or take one of the synthetic people.'
_HINTS = {
    DETECTED: ('Click a joint in the picture to see its heatmaps.',) * 2,
    WHOLE: ('Click a joint in the picture to see its heatmaps.',) * 2,
    DRAWN: (
        'Click two opposite corners of a person in the picture.',
        'Now click the opposite corner.',
    ),
}
"""What can be done next, without and with a corner that waits for the other one."""
TEST_CFG = dict(conditional=dict(thresholds=0), output_trials=True)
"""How the page's predictor tests: nothing is tried again before a visitor asks for it."""


class Page:
    """What happens on the page; one for all visitors, whose own things Gradio keeps apart.

    Args:
        predictor: made with :data:`TEST_CFG`.
        title: which model it is.
        folder: for files, the same as in ``GRADIO_TEMP_DIR``.
        limits: of uploads.
        conditional: options of conditional testing as in ``test_cfg.conditional``. Default: None,
            one threshold for all joints, which the visitor chooses.
    """

    def __init__(
        self,
        predictor: PosePredictor,
        title: str,
        folder: Path,
        limits: Limits,
        conditional: dict[str, Any] | None = None,
    ) -> None:
        self.predictor, self.title, self.folder = predictor, title, folder
        self.limits, self.conditional = limits, conditional

    def run(
        self,
        upload: tuple[str, str] | None,
        where: str,
        corners: list,
        retry: bool,
        tau: float,
        score: float,
        joint: str,
    ) -> tuple:
        """Predict: view, picture, sentence, people, and whether there is a result to show."""
        if upload is None:
            return None, None, START, _people(0), *_shown(False)
        options = self.conditional or dict(thresholds=tau)
        predictor = self.predictor.with_test_cfg(
            conditional=options if retry else dict(thresholds=0)
        )
        try:
            view = look(predictor, upload[0], where, corners, self.limits, upload[1])
        except InputError as e:
            return None, None, _fault(e), _people(0), *_shown(False)
        people = _people(len(view.result))
        return view, *self.redraw(view, where, corners, score, 0, joint), people, *_shown(True)

    def redraw(
        self,
        view: View | None,
        where: str,
        corners: list,
        score: float,
        person: int | None,
        joint: str,
    ) -> tuple:
        """Draw what there is: picture, sentence."""
        if view is None:
            return gr.skip(), gr.skip()
        corner = None
        if where == DRAWN and len(corners) % 2:
            corner = corners[-1][0] * view.scale, corners[-1][1] * view.scale
        # an array Gradio would write to a file named by its content: a visitor would read it while
        # it is written again for another one who looks at the same
        picture = self.folder / f'{uuid.uuid4().hex}.jpg'
        rgb = draw(view.shown, score, person or 0, joint, corner)
        cv2.imwrite(str(picture), rgb[..., ::-1])
        return str(picture), f'{summary(view, score)} {_HINTS[where][corner is not None]}'

    def details(self, view: View | None, score: float, person: int | None, joint: str) -> tuple:
        """Return heatmaps, those before and after, trials, and the table of a person's joints."""
        if view is None or not len(view.result):
            return (markup.quiet('Nobody to look at yet.'),) * 4
        person = min(person or 0, len(view.result) - 1)
        try:
            maps = heatmaps_of(self.predictor, view, person, self.limits)
            pictures = markup.heatmap_grid(maps, joint), markup.before_and_after(maps, joint)
        except InputError as e:
            pictures = (markup.quiet(_fault(e)),) * 2
        table = markup.joint_table(view, person, score)
        return *pictures, markup.trials(view, person, joint), table

    def click(
        self,
        view: View | None,
        upload: tuple[str, str] | None,
        where: str,
        corners: list,
        retry: bool,
        tau: float,
        score: float,
        person: int | None,
        joint: str,
        event: gr.SelectData,
    ) -> tuple:
        """Take a corner of a box, or select a joint: corners, joint, then as :meth:`run`."""
        nothing = gr.skip()
        if view is None:
            return (nothing,) * 8
        x, y = event.index
        if where == DRAWN:
            corners = [*corners, (x / view.scale, y / view.scale)]
            if len(corners) % 2:
                drawn = self.redraw(view, where, corners, score, person, joint)
                return corners, nothing, nothing, *drawn, *(nothing,) * 3
            found = self.run(upload, where, corners, retry, tau, score, joint)
            return corners, nothing, *found
        meant = joint_at(view.shown, x, y, score)
        if meant is None:
            return (nothing,) * 8
        drawn = self.redraw(view, where, corners, score, *meant)
        return nothing, meant[1], nothing, *drawn, meant[0], nothing, nothing

    def save_picture(self, view: View | None, score: float) -> str:
        """Write the drawn picture to be downloaded: its path."""
        return self._saved(view, lambda v, place: write_picture(v, place, score, self.limits))

    def save_json(self, view: View | None) -> str:
        """Write the persons in COCO's format to be downloaded: the file's path."""
        return self._saved(view, write_json)

    def _saved(self, view: View | None, write: Callable[[View, Path], Path]) -> str:
        if view is None:
            raise gr.Error('There is nothing to download yet.', print_exception=False)
        place = self.folder / uuid.uuid4().hex
        place.mkdir()
        try:
            return str(write(view, place))
        except InputError as e:
            raise gr.Error(_fault(e), print_exception=False) from e


def _people(number: int) -> Any:
    """Return the choice of persons: none where there is but one."""
    choices = [(str(i + 1), i) for i in range(number)]
    return gr.Dropdown(choices=choices, value=0 if number else None, visible=number > 1)


def _shown(there: bool) -> tuple:
    """Show the columns with the result, or hide them."""
    return gr.Column(visible=there), gr.Column(visible=there)


def _fault(error: InputError) -> str:
    text = str(error)
    return f'⚠️ {text[:1].upper()}{text[1:]}.'
