"""The page as visitors have it: in a browser, fifty at once, nothing loaded from elsewhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run

pytest.importorskip('gradio', reason='Gradio is not installed')
gradio_client = pytest.importorskip('gradio_client')
httpx = pytest.importorskip('httpx')
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')


class Server:
    """``mspose web`` with the tiny model, in a process of its own."""

    def __init__(self, folder: Path, *more: str) -> None:
        config, weights = folder / 'tiny.py', folder / 'a.pth'
        self.temporary = folder / 'temporary'
        self.temporary.mkdir()
        command = [sys.executable, '-m', 'mspose_plugin', 'web', '--device', 'cpu', *more]
        command += ['--model', str(config), '--weights', str(weights)]
        env = {**os.environ, 'TMPDIR': str(self.temporary), 'PYTHONUNBUFFERED': '1'}
        env['PYTHONPATH'] = os.pathsep.join([str(tiny_run.REPOSITORY), env.get('PYTHONPATH', '')])
        self.log = folder / 'log.txt'
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=folder
            )
        self.address = self._address()

    def _address(self) -> str:
        for _ in range(600):
            for line in self.log.read_text().splitlines():
                if line.startswith('open http'):
                    return line.split()[1]
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def files(self) -> list[Path]:
        return [path for path in self.temporary.rglob('*') if path.is_file()]


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp('page')
    tiny_run.write_model(folder, deviation=0.2)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / 'photo.png'), cv2.resize(noise, (640, 480)))
    (folder / 'page.jpg').write_text('<html>')
    (folder / 'cut.png').write_bytes((folder / 'photo.png').read_bytes()[:-2000])
    cv2.imwrite(str(folder / 'wide.png'), np.zeros((1000, 2000), np.uint8))
    (folder / 'big.bmp').write_bytes(bytes(1_100_000))
    server = Server(folder, '--max-megapixels', '1', '--max-megabytes', '1')
    server.folder = folder
    yield server
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()


def ask(server, path, where='Whole image', retry=False):
    """Return the sentence that the page answers a file with, and its picture."""
    client = gradio_client.Client(server.address, verbose=False)
    picture, sentence, *_ = client.predict(
        gradio_client.handle_file(str(path)), where, retry, 0.5, 0.0, 'pelvis', api_name='/predict'
    )
    return sentence, picture


def test_fifty_visitors_at_once_and_some_with_garbage(server):
    expected = {
        'photo.png': '1 person, ',
        'page.jpg': 'no image',
        'cut.png': 'broken or incomplete',
        'wide.png': '2000 x 1000 pixels, 2 megapixels, more than the 1 megapixels',
        'big.bmp': 'exceeds the maximum file size',
    }
    names = ['photo.png'] * 30 + list(expected)[1:] * 5

    def visit(name):
        try:
            return ask(server, server.folder / name)[0]
        except ValueError as e:  # too large a file is refused before the page hears of it
            return str(e)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(visit, names))
    assert len(answers) == 50
    for name, answer in zip(names, answers):
        assert expected[name] in answer, (name, answer)
    assert server.process.poll() is None
    assert ask(server, server.folder / 'photo.png')[0].startswith('1 person, ')


def test_too_large_a_file_is_not_stored(server):
    with open(server.folder / 'big.bmp', 'rb') as file:
        answer = httpx.post(f'{server.address}gradio_api/upload', files=dict(files=file))
    assert answer.status_code == 413
    assert all(path.stat().st_size <= 2**20 for path in server.files())


def test_the_server_fetches_nothing(server):
    """Not even when it is asked to: an address is no file."""
    client = gradio_client.Client(server.address, verbose=False)
    payload = dict(path='http://127.0.0.1:9/a.png', meta=dict(_type='gradio.FileData'))
    with pytest.raises(Exception, match='.'):
        client.predict(payload, 'Whole image', False, 0.5, 0, 'pelvis', api_name='/predict')
    # Gradio itself refuses private addresses only; this is refused before that
    assert '127.0.0.1: this page takes files, no addresses' in server.log.read_text()


@pytest.fixture(scope='module')
def browser():
    if CHROMIUM is None:
        pytest.skip('there is no Chromium')
    playwright = pytest.importorskip('playwright.sync_api', reason='Playwright is not installed')
    with playwright.sync_playwright() as run:
        opened = run.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield opened
        opened.close()


def picture_at(image, x, y):
    """Click on a place of the result, in its own pixels."""
    width, height = image.evaluate('e => [e.naturalWidth, e.naturalHeight]')
    box = image.bounding_box()
    scale = min(box['width'] / width, box['height'] / height)
    left = (box['width'] - width * scale) / 2
    top = (box['height'] - height * scale) / 2
    image.click(position=dict(x=left + x * scale, y=top + y * scale))


def test_in_a_browser(server, browser, tmp_path):
    page = browser.new_page(viewport=dict(width=1300, height=900))
    page.set_default_timeout(60000)
    asked, errors = [], []
    page.on('request', lambda request: asked.append(request.url))
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.goto(server.address)
    status = page.locator('#status')
    page.wait_for_selector('.gallery-item')
    assert not page.locator('#result').is_visible()  # no empty boxes
    assert page.locator('.gallery-item').count() == 4
    page.locator('.gallery-item').first.click()  # a synthetic person
    page.wait_for_selector('#heatmaps img')
    page.locator('#upload button[aria-label="Remove Image"]').click()
    page.wait_for_selector('#result', state='hidden')
    page.locator('#upload input[type=file]').set_input_files(server.folder / 'photo.png')
    page.wait_for_selector('#result img')
    page.wait_for_selector('#heatmaps img')
    assert '1 person, ' in status.inner_text()
    assert page.locator('#heatmaps img').count() == 4
    assert page.screenshot(path=tmp_path / 'wide.png')

    before = page.locator('#heatmaps img').last.get_attribute('src')
    picture = page.locator('#result img').get_attribute('src')
    page.locator('#joint input').click()
    page.get_by_role('option', name='left wrist').click()
    page.wait_for_function(
        'before => [...document.querySelectorAll("#heatmaps img")].pop().src != before', arg=before
    )
    page.wait_for_function(
        'before => document.querySelector("#result img").src != before', arg=picture
    )

    page.locator('#conditional input').check()
    page.get_by_role('tab', name='Trials').click()
    page.wait_for_selector('#trials img')
    assert page.locator('#trials img').count() == 5

    page.get_by_label('Draw boxes').check()
    page.wait_for_function(
        'document.querySelector("#status").innerText.includes("opposite corners")'
    )
    image = page.locator('#result img')
    picture_at(image, 100, 80)
    page.wait_for_function(
        'document.querySelector("#status").innerText.includes("Now click the opposite")'
    )
    picture_at(image, 400, 420)
    page.wait_for_function('document.querySelector("#status").innerText.includes("1 person, ")')
    with page.expect_download() as download:
        page.get_by_role('button', name='Download JSON').click()
    assert download.value.suggested_filename == 'photo_keypoints.json'
    (record,) = json.loads(Path(download.value.path()).read_text())
    assert record['bbox'] == pytest.approx([100, 80, 300, 340], abs=2)
    with page.expect_download() as download:
        page.get_by_role('button', name='Download picture').click()
    assert cv2.imread(str(download.value.path())).shape == (480, 640, 3)

    page.set_viewport_size(dict(width=400, height=900))
    narrow = page.evaluate('document.documentElement.scrollWidth')
    assert narrow <= 400
    assert not errors
    assert {url.split('/')[2] for url in asked if url.startswith(('http', 'ws'))} == {
        server.address.split('/')[2]
    }
    page.close()


def test_garbage_in_a_browser(server, browser):
    page = browser.new_page()
    page.goto(server.address)
    page.locator('#upload input[type=file]').set_input_files(server.folder / 'page.jpg')
    page.wait_for_function('document.querySelector("#status").innerText.includes("no image")')
    assert not page.locator('#result').is_visible()
    page.close()


def test_no_file_stays_when_the_server_ends(server):
    """The last test: it ends the server."""
    ask(server, server.folder / 'photo.png')
    assert server.files()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)
    assert not server.files()
    assert not list((tiny_run.REPOSITORY / 'mspose_plugin/web').glob('*.pyi'))  # Gradio's
