"""PosePredictor: the same keypoints as MMPose's inferencer, whatever the input and the batch."""

import json
import threading
import time
from pathlib import Path

import cv2
import mmdet
import mmpose
import numpy as np
import pytest
import tiny_run
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.apis.inferencers import Pose2DInferencer
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from PIL import Image
from xtcocotools.coco import COCO

from mspose_plugin.apis.predictor import PosePredictor
from mspose_plugin.utils.errors import InputError

pytestmark = pytest.mark.usefixtures('fresh_logger')


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    """Return a folder with images, a config, and a checkpoint of its network."""
    folder = tmp_path_factory.mktemp('predictor')
    tiny_run.write_model(folder, deviation=0.2)
    photos = folder / 'photos'
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3)).astype(np.float32)
    for i, picture in enumerate(noise):  # nowhere flat, so that no two maxima are equal
        picture = cv2.normalize(cv2.GaussianBlur(picture, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(photos / f'{i}.png'), picture)
    return folder


def build(base, **options):
    return PosePredictor(str(base / 'tiny.py'), str(base / 'a.pth'), device='cpu', **options)


@pytest.fixture(scope='module')
def predictor(base):
    return build(base)


@pytest.fixture(scope='module')
def photo(base):
    return str(base / 'photos/0.png')


BOXES = np.array([[3.0, 4, 50, 60], [10, 2, 44, 61.5], [0, 0, 64, 64]])


def same(a, b):
    assert len(a) == len(b)
    assert np.abs(a.keypoints - b.keypoints).max() <= 1e-4
    assert np.abs(a.scores - b.scores).max() <= 1e-4


def test_equals_mmpose(base, predictor, photo):
    mmpose = Pose2DInferencer(
        str(base / 'tiny.py'), str(base / 'a.pth'), det_model='whole_image', device='cpu'
    )
    expected = next(mmpose(photo, return_datasamples=True))['predictions'][0].pred_instances
    result = predictor(photo)
    assert np.array_equal(result.keypoints, expected.keypoints)
    assert np.array_equal(result.scores, expected.keypoint_scores)
    assert (
        len(np.unique(result.keypoints.round(), axis=1)[0]) > 3
        and np.abs(result.scores).max() > 0.01
    )
    assert result.path == photo and not result.fault


def test_bare_weights_are_no_reason_to_warn(photo, capfd):
    """Those of the package are a file of tensors; the config says what its keypoints are."""
    assert PosePredictor(device='cpu')(photo).keypoints.shape == (1, 16, 2)
    printed = capfd.readouterr()
    assert 'WARNING' not in printed.out + printed.err


def test_every_kind_of_input_gives_the_same(base, predictor, photo):
    expected = predictor(photo)
    array = cv2.imread(photo)
    for source in (
        base / 'photos/0.png',
        array,
        Image.open(photo),
        Image.fromarray(array[..., ::-1]),
    ):
        same(predictor(source), expected)
    for several in ([photo], (array, Image.open(photo)), iter([photo])):
        for result in predictor(several):
            same(result, expected)
    for name in (base / 'photos', str(base / 'photos/*.png'), str(base / '**/photos/*.png')):
        results = predictor(name)
        assert [r.path for r in results] == [str(base / f'photos/{i}.png') for i in range(3)]
        same(results[0], expected)


def test_an_upright_photo(base, predictor, tmp_path):
    """A camera notes its rotation; files, PIL images and the boxes agree on it."""
    picture = Image.fromarray(cv2.imread(str(base / 'photos/1.png'))[:60])
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / 'turned.jpg', exif=exif)
    result = predictor(tmp_path / 'turned.jpg')
    assert result.image.shape[:2] == (96, 60)
    assert result.boxes.tolist() == [[0, 0, 60, 96]]
    assert (
        np.abs(predictor(Image.open(tmp_path / 'turned.jpg')).keypoints - result.keypoints).max()
        < 2
    )


def test_pil_images_are_read_as_files_are(base, predictor, tmp_path):
    """16 bits, grey, a palette, alpha."""
    bgr = cv2.imread(str(base / 'photos/1.png'))
    rgb = Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    cv2.imwrite(str(tmp_path / '16.png'), grey.astype(np.uint16) * 256 + 7)
    alpha = np.dstack([np.asarray(rgb), grey])
    for name, image in dict(
        grey=Image.fromarray(grey),
        palette=rgb.quantize(32),
        alpha=Image.fromarray(alpha),
    ).items():
        image.save(tmp_path / f'{name}.png')
    for path in tmp_path.iterdir():
        result = predictor(Image.open(path))
        assert np.abs(result.image.astype(int) - predictor(path).image).max() <= 1, path.name
        assert result.image.std() > 20


def test_other_ways_of_testing_share_the_network(base, predictor, photo):
    conditional = build(base, test_cfg=dict(conditional=dict(thresholds=0), output_trials=True))
    before = conditional(photo)
    same(before, predictor(photo))
    other = conditional.with_test_cfg(conditional=dict(thresholds=9.0), flip_test=False)
    assert np.isfinite(other(photo).trials.keypoints).all()
    assert other.model.backbone is conditional.model.backbone
    same(
        other.with_test_cfg(conditional=None)(photo),
        predictor.with_test_cfg(flip_test=False)(photo),
    )
    same(conditional(photo), before)
    assert np.isnan(conditional(photo).trials.keypoints[:, 1:]).all()
    with pytest.raises(InputError, match='thresholds'):
        conditional.with_test_cfg(conditional=dict(thresholds='none.json'))


@pytest.mark.parametrize('batch_size', [1, 2, 5])
def test_persons_of_several_images_share_a_batch(base, predictor, batch_size, monkeypatch):
    files = sorted(map(str, (base / 'photos').iterdir()))
    boxes = [BOXES, BOXES[:0], BOXES[:1]]
    expected = [predictor(f, b) for f, b in zip(files, boxes)]
    other = build(base, batch_size=batch_size)
    sizes, step = [], other.model.test_step
    monkeypatch.setattr(
        other.model, 'test_step', lambda data: sizes.append(len(data['inputs'])) or step(data)
    )
    results = other(files, boxes)
    assert sizes == {1: [1] * 4, 2: [2, 2], 5: [4]}[batch_size]
    assert [len(r) for r in results] == [3, 0, 1]
    for result, want in zip(results, expected):
        if len(want):
            same(result, want)
        assert np.array_equal(result.boxes, want.boxes)


def test_a_detector(base, photo):
    found = np.concatenate([BOXES, [[0.9], [0.2], [0.5]]], axis=1)
    result = build(base, detector=lambda image: found, box_score=0.4)(photo)
    assert np.array_equal(result.boxes, BOXES[[0, 2]].astype(np.float32))
    assert result.box_scores.tolist() == pytest.approx([0.9, 0.5])
    assert len(build(base, detector=lambda image: [])(photo)) == 0


def test_it_reads_no_further_than_it_has_to(predictor, photo):
    taken = []

    def endless():
        while True:
            taken.append(photo)
            yield photo

    stream = predictor.stream(endless())
    for _ in range(5):
        next(stream)
    assert len(taken) < 50
    stream.close()


def test_a_video(base, predictor, tmp_path):
    frames = [cv2.imread(str(base / f'photos/{i}.png')) for i in (0, 1, 2, 1)]
    writer = cv2.VideoWriter(str(tmp_path / 'v.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, (96, 96))
    for frame in frames:
        writer.write(frame)
    writer.release()
    results = predictor(tmp_path / 'v.avi')
    assert [r.index for r in results] == [0, 1, 2, 3]
    assert {r.path for r in results} == {str(tmp_path / 'v.avi')}
    capture = cv2.VideoCapture(str(tmp_path / 'v.avi'))
    for result in results:
        same(predictor(capture.read()[1]), result)


def test_a_broken_image_among_others(predictor, photo, tmp_path):
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    results = predictor([photo, str(tmp_path / 'broken.jpg'), photo])
    assert [len(r) for r in results] == [1, 0, 1]
    assert 'broken.jpg' in results[1].fault
    same(results[0], results[2])
    for bad, words in (
        (tmp_path / 'broken.jpg', 'broken.jpg'),
        ([str(tmp_path / 'broken.jpg')], 'broken.jpg'),
        (tmp_path / 'none.jpg', 'none.jpg'),
        (str(tmp_path / '*.gif'), 'check the pattern'),
        ('webcam:x', 'webcam:NUMBER'),
    ):
        with pytest.raises(InputError, match=words):
            predictor(bad)


def test_threads_keep_away_from_mmengines_loggers(predictor, photo, tmp_path, monkeypatch):
    """Their lock stays taken after some errors; a thread would wait for it for ever."""
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    original, threads = MMLogger.get_current_instance, []

    def noted():
        threads.append(threading.current_thread())
        return original()

    monkeypatch.setattr(MMLogger, 'get_current_instance', noted)
    predictor([photo, str(tmp_path / 'broken.jpg')])
    assert set(threads) == {threading.main_thread()}


def test_a_detector_works_on_one_image_at_a_time(base, photo):
    busy, seen = threading.Lock(), []

    def detect(image):
        seen.append(busy.acquire(blocking=False))
        time.sleep(0.02)
        busy.release()
        return []

    build(base, detector=detect)([photo] * 6)
    assert seen == [True] * 6


def test_bad_arguments(base, predictor, photo):
    for boxes in ([[1, 2, 3]], [1, 2, 3, 4], [[5, 5, 5, 9]], [['a'] * 4], [[0, 0, np.nan, 4]]):
        with pytest.raises(InputError, match='expected .N, 4. or .N, 5.'):
            predictor(photo, boxes)
    with pytest.raises(InputError, match='one array for each image'):
        predictor([photo, photo], [BOXES])
    with pytest.raises(InputError, match='batch_size=0'):
        build(base, batch_size=0)


def test_half_precision(base, predictor, photo):
    expected, found = predictor(photo, BOXES).scores, build(base, half=True)(photo, BOXES).scores
    assert 0 < np.abs(found - expected).max() < 0.05


def test_compilation(base, predictor, photo, monkeypatch):
    """All that is called of the network runs compiled; here eagerly, which takes no minute."""
    graphs, compile = [], torch.compile

    def noted(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, 'compile', lambda f, **how: compile(f, backend=noted, **how))
    torch._dynamo.reset()
    compiled = build(base, compile=True)
    same(compiled(photo, BOXES), predictor(photo, BOXES))
    operations = [str(node.target) for graph in graphs for node in graph.graph.nodes]
    convolutions = sum('conv' in name for name in operations)
    assert convolutions >= sum(isinstance(m, torch.nn.Conv2d) for m in compiled.model.modules())


def test_a_model_and_a_detector_of_openmmlab(tmp_path, photo):
    """Another network than ours, six scales included, in the boxes of MMDetection's detector."""
    mim = Path(mmpose.__file__).parent / '.mim/configs/body_2d_keypoint/topdown_heatmap/coco'
    config = mim / 'td-hm_litehrnet-18_8xb64-210e_coco-256x192.py'
    cfg = Config.fromfile(config).model
    init_default_scope('mmpose')
    torch.save(dict(state_dict=MODELS.build(cfg).state_dict()), tmp_path / 'hrnet.pth')
    rtmdet = Path(mmdet.__file__).parent / '.mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
    options = dict(device='cpu', detector=str(rtmdet), box_score=0)
    plain = PosePredictor(str(config), str(tmp_path / 'hrnet.pth'), **options)
    assert plain.names[:2] == ('nose', 'left_eye') and len(plain.names) == 17
    seen, detector = [], plain.inferencer.detector
    people = InstanceData(
        bboxes=torch.tensor(BOXES), scores=torch.tensor([0.9, 0.8, 0.7]), labels=torch.arange(3) % 2
    )

    def found(image, **how):  # its own, of random weights, are everywhere
        seen.append(detector(image, **how)['predictions'][0].pred_instances)
        return dict(predictions=[PoseDataSample(pred_instances=people)])

    plain.inferencer.detector = found
    result = plain(photo)
    assert {'bboxes', 'scores', 'labels'} <= set(seen[0].keys())
    assert np.allclose(result.boxes, BOXES[[0, 2]])  # label 0 is a person
    scales = PosePredictor(
        str(config), str(tmp_path / 'hrnet.pth'), device='cpu', test_cfg=dict(multi_scale=True)
    )
    again = scales(photo, BOXES[[0, 2]])
    assert again.keypoints.shape == (2, 17, 2)
    assert not np.array_equal(again.scores, result.scores)


def test_a_camera(base, predictor, monkeypatch):
    frames, released = [cv2.imread(str(base / f'photos/{i}.png')) for i in (0, 1)], []

    class Camera:
        def __init__(self, number):
            assert number == 3
            self.left = list(frames)

        def isOpened(self):
            return True

        def read(self):
            return (True, self.left.pop(0)) if self.left else (False, None)

        def release(self):
            released.append(True)

    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    results = predictor('webcam:3')
    assert released and [r.index for r in results] == [0, 1]
    for result, frame in zip(results, frames):
        same(result, predictor(frame))


def test_heatmaps(base, photo):
    result = build(base, test_cfg=dict(output_heatmaps=True))(photo, BOXES)
    assert result.heatmaps.shape[:2] == (3, 16)
    assert np.allclose(result.heatmaps.max((2, 3)), result.scores, atol=1e-6)
    # the padded box with the input's aspect ratio, here a square
    centers, sides = (BOXES[:, :2] + BOXES[:, 2:]) / 2, (BOXES[:, 2:] - BOXES[:, :2]).max(1) * 1.25
    assert np.allclose((result.crops[:, :2] + result.crops[:, 2:]) / 2, centers)
    assert np.allclose((result.crops[:, 2:] - result.crops[:, :2]).T, sides)


def test_heatmaps_lie_over_the_image(base, photo):
    predictor = build(base, test_cfg=dict(output_heatmaps=True))
    result = predictor(photo, BOXES[:1])
    k = result.names.index('pelvis')
    result.heatmaps = np.zeros_like(result.heatmaps)
    result.heatmaps[0, k, 6, 9] = 1  # of 16 x 16 cells
    result.image = np.zeros_like(result.image)
    for picture in (result.plot_heatmaps('pelvis'), result.plot_heatmaps()):
        y, x = np.unravel_index(picture[..., 2].argmax(), picture.shape[:2])  # red
        side = result.crops[0, 2] - result.crops[0, 0]
        assert abs(x - (result.crops[0, 0] + 9 / 15 * side)) < side / 16
        assert abs(y - (result.crops[0, 1] + 6 / 15 * side)) < side / 16
    assert result.plot_heatmaps('thorax')[..., 2].max() == 0
    with pytest.raises(InputError, match='elbw'):
        result.plot_heatmaps('elbw')
    result.heatmaps = None
    with pytest.raises(InputError, match='output_heatmaps=True'):
        result.plot_heatmaps()


def test_result(predictor, photo, tmp_path):
    result = predictor(photo, BOXES)
    assert len(result) == 3 and len(result.names) == 16
    x, y, score = result[1]['right_wrist']
    k = result.names.index('right_wrist')
    assert (x, y) == tuple(result.keypoints[1, k].tolist()) and score == result.scores[1, k]

    before = result.image.copy()
    picture = result.plot(min_score=-1)
    assert np.array_equal(result.image, before) and picture.shape == before.shape
    assert (picture != before).any(axis=2).mean() > 0.01
    assert np.array_equal(result.plot(min_score=9), before)  # nobody is sure enough: BGR stays BGR
    result.save(str(tmp_path / 'p.png'), min_score=-1)
    assert np.array_equal(cv2.imread(str(tmp_path / 'p.png')), picture)
    with pytest.raises(InputError, match='p.txt'):
        result.save(str(tmp_path / 'p.txt'))


def test_json_is_cocos(predictor, photo, tmp_path):
    result = predictor(photo, BOXES)
    text = result.to_json(str(tmp_path / 'r.json'), image_id=7)
    found = json.loads(text)
    assert json.loads((tmp_path / 'r.json').read_text()) == found
    truth = COCO()
    truth.dataset = dict(images=[dict(id=7)], annotations=[], categories=[dict(id=1)])
    truth.createIndex()
    loaded = truth.loadRes(found).anns
    assert len(loaded) == 3
    keypoints = np.array(loaded[1]['keypoints']).reshape(16, 3)
    assert np.allclose(keypoints[:, :2], result.keypoints[0], atol=1e-3)
    assert loaded[1]['bbox'] == [3, 4, 47, 56]
    assert predictor(photo).to_coco()[0]['image_id'] == photo


def test_supervision(predictor, photo, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'supervision', None)
    with pytest.raises(InputError, match='pip install .supervision'):
        predictor(photo).to_supervision()
    monkeypatch.undo()
    supervision = pytest.importorskip('supervision', reason='supervision is not installed')
    result = predictor(photo, BOXES)
    keypoints = result.to_supervision()
    assert isinstance(keypoints, supervision.KeyPoints)
    assert np.allclose(keypoints.xy, result.keypoints)


def test_a_detectors_file(predictor, photo, base, tmp_path):
    file = tmp_path / 'boxes.json'
    entries = [
        dict(image_id='0.png', bbox=[3, 4, 47, 56], score=0.9),
        dict(image_id='0.png', category_id=2, bbox=[1, 1, 9, 9], score=0.9),
        dict(image_id='photos/2.png', category_id=1, bbox=[0, 0, 64, 64], score=0.5),
    ]
    file.write_text(json.dumps(entries))
    results = predictor(base / 'photos', str(file))
    assert [len(r) for r in results] == [1, 0, 1]
    same(results[0], predictor(photo, BOXES[:1]))
    assert results[2].box_scores.tolist() == [0.5]
    assert len(predictor(photo, str(file))) == 1

    (tmp_path / '000000000785.png').write_bytes((base / 'photos/0.png').read_bytes())
    file.write_text(json.dumps([dict(image_id=785, bbox=[3, 4, 47, 56], score=0.9)]))
    assert len(predictor(tmp_path / '000000000785.png', str(file))) == 1

    for content in ('{', '{}', '[3]', '[{"image_id": 1, "bbox": [1, 2, 3], "score": 1}]',
                    '[{"bbox": [1, 2, 3, 4], "score": 1}]'):  # fmt: skip
        file.write_text(content)
        with pytest.raises(InputError, match='boxes.json'):
            predictor(photo, str(file))


def test_torchvisions_detector(base, photo, monkeypatch):
    """Its network is built and called as its weights want it; the weights cannot be had here."""
    from torchvision.models import detection

    build_network, seen = detection.fasterrcnn_resnet50_fpn_v2, []

    def without_weights(weights):
        seen.append(weights)
        network = build_network(weights=None, weights_backbone=None)

        def predict(images):
            seen.append(images[0])
            boxes = torch.tensor([[1.0, 2, 30, 40], [5, 5, 50, 50], [0, 0, 9, 9]])
            labels, scores = torch.tensor([1, 3, 1]), torch.tensor([0.9, 0.8, 0.1])
            return [dict(boxes=boxes, labels=labels, scores=scores)]

        monkeypatch.setattr(network, 'forward', predict)
        return network

    monkeypatch.setattr(detection, 'fasterrcnn_resnet50_fpn_v2', without_weights)
    result = build(base, detector='torchvision')(photo)
    assert result.boxes.tolist() == [[1, 2, 30, 40]]  # the person who is sure enough
    assert seen[0].meta['categories'][1] == 'person'
    expected = cv2.imread(photo)[..., ::-1].transpose(2, 0, 1) / 255
    assert np.allclose(seen[1].numpy(), expected)
