"""The page itself: which part is where, and what happens when one is touched.

It is made for one machine: nothing is loaded from elsewhere, by the browser or by the server, and
what visitors send is deleted after an hour and when the server ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')  # which Gradio reads on import

import gradio as gr
import safehttpx
from gradio import component_meta
from gradio.data_classes import ImageData

from mspose_plugin.synthetic.dataset import Recipe, make_image
from mspose_plugin.utils.checks import refused
from mspose_plugin.web import markup
from mspose_plugin.web.answers import START, Page
from mspose_plugin.web.view import DETECTED, DRAWN, WHOLE

KEPT = 3600
"""Seconds after which what a visitor sent is deleted."""
SESSIONS = 100
"""Visitors whose last result is kept."""
WAITING = 200
"""Requests that may wait for the network; further ones are told so."""
_CSS = (
    """
.gradio-container {max-width: 1500px !important}
#title h1 {margin-bottom: 0}
#status p {margin: 0}
#result img {cursor: crosshair; max-height: 70vh; min-height: 300px; object-fit: contain}
.unseen {display: none !important}
"""
    + markup.CSS
)
_QUICK: dict[str, Any] = dict(concurrency_limit=4, show_progress='hidden', api_visibility='private')
_PRESS = "() => document.querySelector('#{0} button, button#{0}, a#{0}').click()"


# else Gradio writes a stub file for the class below into this package
component_meta.create_or_modify_pyi = lambda *_: None


class Upload(gr.Image):
    """An image component that hands the file on as it is: Gradio's own would decode it."""

    is_template = True  # with the front end of its parent

    def preprocess(self, payload: ImageData | None) -> tuple[str, str] | None:
        """Return path and original name."""
        if payload is None or payload.path is None:
            return None
        return payload.path, payload.orig_name or Path(payload.path).name


async def _fetch_nothing(hostname: str) -> str:
    """Stand in for the check of an address that a visitor has the server download."""
    raise ValueError(f'{hostname}: this page takes files, no addresses')


def example_files(folder: Path) -> list[str]:
    """Draw synthetic people to try the page with.

    Args:
        folder: where the pictures are written.

    Returns:
        Their paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [('mpii', 3), ('mpii', 8), ('mpii', 11), ('coco', 2)]
    paths = []
    for layout, index in chosen:
        size = (480, 480) if layout == 'mpii' else (640, 480)
        recipe = Recipe(layout, train=0, val=1, seed=5, size=size)
        paths.append(folder / f'synthetic_{layout}_{index}.jpg')
        paths[-1].write_bytes(make_image(recipe, 'val', index)[0])
    return [str(path) for path in paths]


class Layout:
    """Where everything is, and what it asks a :class:`Page`.

    Args:
        page: answers.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        with gr.Blocks(
            title='MSPose', analytics_enabled=False, delete_cache=(KEPT // 6, KEPT)
        ) as blocks:
            self.view = gr.State(None, time_to_live=KEPT)
            self.corners = gr.State([], time_to_live=KEPT)
            with gr.Row():
                gr.Markdown(f'# MSPose\n{page.title}', elem_id='title')
            self.sentence = gr.Markdown(START, elem_id='status')
            with gr.Row():
                with gr.Column(scale=2, min_width=300):
                    self._inputs()
                with gr.Column(scale=3, min_width=320, visible=False) as self.right:
                    self._result()
            with gr.Column(visible=False) as self.below:
                self._details()
            self._connect()
        self.blocks = blocks.queue(max_size=WAITING)

    def _inputs(self) -> None:
        """Lay out what the visitor gives: image, where people are, conditional testing."""
        page = self.page
        self.upload = Upload(
            label='Image',
            sources=['upload', 'clipboard', 'webcam'],
            height=330,
            elem_id='upload',
            buttons=[],
        )
        gr.Examples(
            example_files(page.folder / 'examples'),
            self.upload,
            label='Synthetic people',
            cache_examples=False,
            api_visibility='private',
        )
        places = [DETECTED] * (page.predictor.detector is not None) + [WHOLE, DRAWN]
        self.where = gr.Radio(places, value=places[0], label='Where people are', elem_id='where')
        self.erase = gr.Button('Remove the boxes', size='sm', visible=False)
        self.retry = gr.Checkbox(
            False,
            label='Conditional testing',
            elem_id='conditional',
            info='Joints below the threshold are estimated again from shifted crops.',
        )
        self.tau = gr.Slider(
            0, 1, 0.5, step=0.01, label='Threshold', visible=page.conditional is None
        )

    def _result(self) -> None:
        """Lay out the picture, what is drawn in it, and the downloads."""
        self.picture = gr.Image(
            label='Result',
            interactive=False,
            format='jpeg',
            elem_id='result',
            buttons=['fullscreen'],
        )
        self.score = gr.Slider(
            0, 1, 0.3, step=0.01, label='Draw joints with a score of at least', elem_id='score'
        )
        with gr.Row():
            for what, save, more in (
                ('picture', self.page.save_picture, [self.score]),
                ('JSON', self.page.save_json, []),
            ):
                button = gr.Button(f'Download {what}', size='md')
                # the file is written when it is asked for, then taken with this one
                name = f'file-{what.lower()}'
                file = gr.DownloadButton(elem_id=name, elem_classes='unseen')
                saved = button.click(save, [self.view, *more], file, **_QUICK)
                saved.success(None, js=_PRESS.format(name))

    def _details(self) -> None:
        """Lay out the choice of a joint, and what there is to see of it."""
        names = self.page.predictor.names
        choices = [(markup.words(name), name) for name in names]
        with gr.Row():
            self.person = gr.Dropdown([], label='Person', visible=False, min_width=120)
            self.joint = gr.Dropdown(
                choices, value=names[0], label='Joint', min_width=200, elem_id='joint', scale=3
            )
        self.parts = []
        for tab in ('Heatmaps', 'Before and after', 'Trials', 'Joints'):
            with gr.Tab(tab):
                self.parts.append(gr.HTML(elem_id=tab.lower().replace(' ', '-')))

    def _connect(self) -> None:
        """Say which part asks what."""
        page = self.page
        asked = [self.upload, self.where, self.corners, self.retry, self.tau, self.score]
        found = [
            *(self.view, self.picture, self.sentence, self.person, self.right, self.below),
        ]
        picked = [self.person, self.joint]
        looked = [self.view, self.score, *picked]
        network: dict[str, Any] = dict(concurrency_id='network', concurrency_limit=1)
        private: dict[str, Any] = dict(api_visibility='private', **network)
        silent: dict[str, Any] = dict(show_progress='hidden', **private)

        clear = gr.on([self.upload.change, self.erase.click], list, None, self.corners, **_QUICK)
        self.where.change(
            lambda where: gr.Button(visible=where == DRAWN), self.where, self.erase, **_QUICK
        )
        changes = [self.where.change, self.retry.change, self.tau.release]
        select = [self.view, *asked, *picked]
        for begin in (
            clear.then(page.run, [*asked, self.joint], found, api_name='predict', **network),
            gr.on(changes, page.run, [*asked, self.joint], found, **private),
            self.picture.select(page.click, select, [self.corners, self.joint, *found], **silent),
        ):
            begin.then(page.details, looked, self.parts, **silent)
        drawn = [self.view, self.where, self.corners, self.score, *picked]
        chosen = [self.person.input, self.joint.input]
        gr.on(
            [self.score.input, *chosen], page.redraw, drawn, [self.picture, self.sentence], **_QUICK
        )
        gr.on([self.score.release, *chosen], page.details, looked, self.parts, **silent)


def serve(
    page: Page, host: str, port: int | None, ready: Callable[[str], None] | None = None
) -> None:
    """Serve the page until the process is asked to end.

    Args:
        page: what is served.
        host: address to listen on.
        port: likewise; None takes the first free one from 7860.
        ready: called with the page's address once it can be opened.

    Raises:
        InputError: nothing can listen there.
    """
    safehttpx.async_validate_url = _fetch_nothing
    with refused(f'{host}:{port or 7860}: the page cannot be served there', OSError):
        blocks = Layout(page).blocks
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            max_file_size=int(page.limits.megabytes * 2**20),
            state_session_capacity=SESSIONS,
            ssr_mode=False,
            run_history=False,
            footer_links=[],
            css=_CSS,
            theme=_theme(),
        )
    if ready:
        ready(address)
    try:
        blocks.block_thread()
    finally:
        blocks.close(verbose=False)


def _theme() -> gr.Theme:
    """Return a theme of fonts that every machine has."""
    sans = ('system-ui', 'sans-serif')
    return gr.themes.Default(primary_hue='blue', font=sans, font_mono=('ui-monospace', 'monospace'))
