"""A plan of rows that share a stage, from its data to its report, as the command runs it."""

import json
import pickle
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import quick_command
import tiny_run
import torch
from mmengine.config import Config

import mspose_command
from mspose_plugin.ablation import report, running
from mspose_plugin.ablation.persons import parts_of
from mspose_plugin.ablation.plan import Job, Plan, Variant, _make_data, read_plan
from mspose_plugin.evaluation.metrics import unpack_bits
from mspose_plugin.utils.errors import InputError

PLAN = '''
default_hooks = dict(checkpoint=dict(interval=1))
seeds = (0, 1)
synthetic = dict(out='data', layout='mpii', train=4, val=6, seed=5, size=(64, 64),
                 difficulty='hard')
variants = dict(
    first={'train_cfg.max_epochs': 2},
    plain={'weights_of': 'first', 'model.test_cfg.flip_test': False},
    lower={'start_from': 'first', 'train_cfg.max_epochs': 1, 'against': ('first', 'plain'),
           'optim_wrapper.optimizer.lr': 1e-7})
'''


def ablate(*words):
    """Run the command in this process; its rows have processes of their own."""
    mspose_command.main(['ablate', 'plan.py', *words])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder with the plan, in which its jobs were stopped, resumed and finished."""
    folder = tmp_path_factory.mktemp('ablate')
    tiny_run.write_config(folder / 'plan.py', Path('data'), PLAN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(running, 'run_command', quick_command.quick)
        (folder / 'kill').touch()
        with pytest.raises(SystemExit) as stopped:
            ablate('--job', '1')
        assert stopped.value.code == 2 and not (folder / 'kill').exists()
        assert not list((folder / 'results').glob('**/*.json'))
        ablate('--job', '1')
        ablate('--workers', '2')
    return folder


@pytest.fixture
def inside(folder, monkeypatch):
    """Go to that folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(running, 'run_command', quick_command.quick)
    return folder


def record(folder, name):
    return json.loads((folder / f'results/plan/{name}.json').read_text())


def state(folder, name, epoch):
    path = folder / f'work_dirs/ablate/plan/{name}/epoch_{epoch}.pth'
    return torch.load(path, weights_only=False)


def test_a_killed_row_goes_on_and_ends_as_any_other(inside):
    log = (inside / 'work_dirs/ablate/plan/first_0/ablate.log').read_text()
    assert 'resumed epoch: 1' in log
    assert 'resumed' not in (inside / 'work_dirs/ablate/plan/first_1/ablate.log').read_text()
    assert record(inside, 'first_0')['steps'] == record(inside, 'first_1')['steps'] == 4


def test_rows_start_from_the_shared_stage(inside):
    for seed in (0, 1):
        shared = state(inside, f'first_{seed}', 2)['state_dict']
        low = state(inside, f'lower_{seed}', 1)['state_dict']
        other = state(inside, f'first_{1 - seed}', 2)['state_dict']
        name = next(key for key, value in shared.items() if value.dim() == 4)
        assert torch.allclose(low[name], shared[name], atol=1e-5)
        assert not torch.allclose(low[name], other[name], atol=1e-2)
    assert record(inside, 'lower_0')['start_from'] == 'first'
    assert record(inside, 'lower_0')['steps'] == 2
    assert record(inside, 'plain_1')['steps'] == 0


def test_nothing_is_run_twice(inside, monkeypatch):
    before = {p: p.stat().st_mtime_ns for p in (inside / 'results/plan').iterdir()}
    assert len(before) == 7  # three rows with two seeds, and the persons
    monkeypatch.setattr(running, 'start_command', lambda *_: pytest.fail('a row runs again'))
    ablate()
    ablate('--submit', 'debug')
    assert before == {p: p.stat().st_mtime_ns for p in (inside / 'results/plan').iterdir()}


def test_what_a_plan_computes_with_is_no_part_of_a_config(inside, monkeypatch):
    monkeypatch.setattr(running, 'start_command', lambda *_: pytest.fail('a row runs again'))
    text = (inside / 'plan.py').read_text()
    more = '_rates = (1, 2)\nother_pipeline = train_pipeline[1:]\n'
    (inside / 'plan.py').write_text(f'{text}\n{more}')
    ablate()
    (inside / 'plan.py').write_text(text)
    assert not any(name.startswith('_') for name in read_plan('plan.py').shared)


def test_a_record_says_how_it_was_made(inside):
    found = record(inside, 'lower_1')
    assert found['seed'] == 1 and found['cfg_options']['optim_wrapper.optimizer.lr'] == 1e-7
    assert found['metrics'].keys() >= {'PCKh', 'AUC', 'Ankle'} and found['losses']
    assert (
        found['seconds'] > 0 and found['versions']['mmpose'] and found['torch'] and found['commit']
    )


def test_hits_are_those_of_the_metrics(inside):
    persons = json.loads((inside / 'results/plan/persons.json').read_text())
    parts = parts_of(persons)
    everything = parts['all']['all']
    assert everything.shape == (6, 16) and not everything[:, 6:8].any()
    for name in ('first_0', 'lower_1', 'plain_0'):
        found = record(inside, name)
        hits = unpack_bits(found['hits'], everything.shape)
        share = 100 * (hits & everything).sum() / everything.sum()
        assert share == pytest.approx(found['metrics']['PCKh'])


def test_the_parts_of_a_split_add_up(inside):
    parts = parts_of(json.loads((inside / 'results/plan/persons.json').read_text()))
    assert set(parts) == {'all', 'crowding', 'occlusion', 'scale'}
    for split in parts.values():
        assert (sum(mask.astype(int) for mask in split.values()) == parts['all']['all']).all()
    assert parts['occlusion']['hidden'].any() and parts['occlusion']['visible'].any()
    annotations = json.loads((inside / 'data/annotations/mpii_val.json').read_text())
    crowded = [p['crowding'] >= 0.1 for p in annotations]
    assert parts['crowding']['crowded'].any(axis=1).tolist() == crowded


def test_report_and_plot(inside, capsys, monkeypatch):
    ablate('--report')
    text = capsys.readouterr().out
    assert text.count('\n| lower | ') == 3  # shares, against first and plain; six are not split
    assert '| row | against | seeds | all |\n' in text
    monkeypatch.setattr(report, 'FEWEST', 1)
    ablate('--report', '--plot', 'plot.png')
    text = capsys.readouterr().out
    assert text.count('\n| lower | ') == 4  # parts, too
    assert '| row | against | seeds | all | alone | crowded | visible | hidden | small |' in text
    assert (inside / 'plot.png').stat().st_size > 5000


def test_list_shows_what_is_done(inside, capsys):
    (inside / 'results/plan/plain_1.json').rename(inside / 'kept.json')
    ablate('--list')
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    rows = ['first,', 'plain,', 'lower']
    assert lines == [['1', '0', *rows, '3', 'of', '3'], ['2', '1', *rows, '2', 'of', '3']]
    ablate('--submit', 'debug', '--submit-options', 'timeout_min=5')
    kept, again = json.loads((inside / 'kept.json').read_text()), record(inside, 'plain_1')
    assert again['hits'] == kept['hits'] and again['metrics'] == kept['metrics']


def test_a_job_can_be_sent_elsewhere(inside):
    plan = read_plan('plan.py')
    runs = running.Runs(plan, Path('results/plan'), Path('work_dirs/ablate/plan'))
    sent, job = pickle.loads(pickle.dumps((runs, plan.jobs()[1])))
    assert job == plan.jobs()[1] and sent.plan.synthetic == plan.synthetic
    assert not list(sent.run(job))  # all done


def test_only_the_data_of_the_chosen_rows_are_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = "dict(layout='mpii', train=1, val=1, size=(64, 64), out='{}')"
    tiny_run.write_config(
        Path('plan.py'),
        Path('people'),
        f"""
synthetic = [{made.format('people')}, {made.format('others')}, {made.format('nobodies')}]
variants = dict(
    people={{}},
    others={{'train_dataloader.dataset.data_root': './others/'}})
""",
    )
    plan = read_plan('plan.py')
    plan.make_data(plan.jobs([0], only=['people']))
    assert [p.parent.name for p in tmp_path.glob('*/images')] == ['people']
    plan.make_data(plan.jobs())
    assert sorted(p.parent.name for p in tmp_path.glob('*/images')) == ['others', 'people']


def test_refusals(inside, capsys):
    def refused(*words):
        with pytest.raises(SystemExit):
            ablate(*words)
        return capsys.readouterr().err

    assert 'there are 2' in refused('--job', '3')
    assert 'has the variants first' in refused('--only', 'nothing')
    assert '--plot goes with --report' in refused('--plot', 'a.png')
    assert '--report is of all results' in refused('--report', '--seeds', '0')
    text = (inside / 'plan.py').read_text()
    (inside / 'plan.py').write_text(text.replace('1e-7', '1e-6'))
    assert 'remove it to run the row again' in refused()
    ablate('--list')
    assert capsys.readouterr().out.count('results of another plan') == 2
    (inside / 'plan.py').write_text(text.replace('interval=1', 'interval=2'))
    assert 'remove it to run the row again' in refused()  # the config that all rows share
    (inside / 'plan.py').write_text(text.replace('val=6', 'val=7'))
    (inside / 'results/plan/plain_1.json').rename(inside / 'kept.json')
    assert 'other data than' in refused()
    (inside / 'kept.json').rename(inside / 'results/plan/plain_1.json')
    (inside / 'plan.py').write_text(text)
    assert 'no results' in refused('--report', '--out', 'elsewhere')


def test_a_job_without_weights_fails_and_others_go_on(inside, tmp_path, capsys):
    shutil.copytree(inside / 'results', tmp_path / 'results')
    for seed in (0, 1):
        (tmp_path / f'results/plan/plain_{seed}.json').unlink()
    with pytest.raises(SystemExit):
        ablate('--out', str(tmp_path / 'results/plan'), '--work-dir', str(tmp_path / 'none'))
    out, err = capsys.readouterr()
    assert out.count('holds no weights, which others need') == 2
    assert '2 of 2 jobs failed, the first: ' in err and 'first_0: holds no weights' in err


def test_an_unknown_argument_of_the_data_is_named(tmp_path):
    with pytest.raises(InputError, match='plan.py: synthetic: .*layuot'):
        _make_data(dict(out=tmp_path / 'data', layuot='mpii'), 'plan.py', 1)


def test_weights_of_other_options_are_not_taken(inside, monkeypatch, capsys):
    """The result is removed, as the command says; the weights are still those of before."""
    monkeypatch.setattr(running, 'start_command', lambda *_: pytest.fail('a row runs'))
    text, result = (inside / 'plan.py').read_text(), inside / 'results/plan/lower_0.json'
    (inside / 'plan.py').write_text(text.replace('1e-7', '1e-6'))
    result.rename(inside / 'kept.json')
    with pytest.raises(SystemExit):
        ablate('--seeds', '0')
    (inside / 'plan.py').write_text(text)
    (inside / 'kept.json').rename(result)
    assert 'lower_0: holds weights of another config' in capsys.readouterr().err


def test_what_started_from_other_weights_is_not_taken(inside, monkeypatch, capsys):
    """The first row was trained again with other options: what started from it is of before."""
    monkeypatch.setattr(running, 'start_command', lambda *_: pytest.fail('a row runs'))
    text, results = (inside / 'plan.py').read_text(), inside / 'results/plan'
    first, lower = (results / f'{name}_0.json' for name in ('first', 'lower'))
    before = first.read_text(), lower.read_text()
    options = "first={'train_cfg.max_epochs': 2, 'optim_wrapper.optimizer.lr': 2e-3"
    changed = text.replace("first={'train_cfg.max_epochs': 2", options)
    assert changed != text
    (inside / 'plan.py').write_text(changed)
    plan = read_plan('plan.py')
    runs = running.Runs(plan, Path('results/plan'), Path('work_dirs/ablate/plan'))
    row = plan.variants['first']
    again = dict(json.loads(before[0]), cfg_options=row.options, config=plan.digest(row, 0))
    first.write_text(json.dumps(again))
    assert runs.done(row, 0)
    for name in ('lower', 'plain'):
        with pytest.raises(InputError, match=f'{name}_0.json: of another variant'):
            runs.done(plan.variants[name], 0)
    lower.unlink()
    (inside / 'results/plan/plain_0.json').rename(inside / 'kept.json')
    with pytest.raises(InputError, match='lower_0: holds weights of another config'):
        list(runs.run(Job(0, (plan.variants['lower'],))))
    (inside / 'kept.json').rename(inside / 'results/plan/plain_0.json')
    (inside / 'plan.py').write_text(text)
    first.write_text(before[0])
    lower.write_text(before[1])


def test_rows_that_end_together_write_the_persons_once(tmp_path):
    runs = running.Runs(Plan('plan.py', {}), tmp_path / 'out', tmp_path)
    persons = dict(ids=list(range(3000)), labelled='0' * 12000)
    with ThreadPoolExecutor(8) as pool:
        rows = [pool.submit(runs._note, dict(persons, hits=f'{i}')) for i in range(8)]
    assert [row.result() for row in rows] == [f'{i}' for i in range(8)]
    assert json.loads((tmp_path / 'out/persons.json').read_text()) == persons
    with pytest.raises(InputError, match='other persons than those of this row'):
        runs._note(dict(persons, ids=[], hits=''))


def test_the_commit_is_not_that_of_a_repository_around_an_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(running, 'ROOT', tmp_path / 'project/.venv/site-packages')
    running.ROOT.mkdir(parents=True)
    shell = [['init', '-q'], ['-c', 'user.name=a', '-c', 'user.email=a@b.c', 'commit', '-qm', 'a']]
    for words in (shell[0], [*shell[1], '--allow-empty']):
        subprocess.run(['git', '-C', tmp_path / 'project', *words], check=True)
    assert running.machine()['commit'].startswith('version ')
    monkeypatch.setattr(running, 'ROOT', tmp_path / 'project')
    commit = running.machine()['commit']
    assert re.fullmatch('[0-9a-f]{7,}', commit)
    for folder, known in (('results', commit), ('tools', f'{commit}-dirty')):
        (running.ROOT / folder).mkdir()
        (running.ROOT / folder / 'new').touch()
        assert running.machine()['commit'] == commit
        subprocess.run(['git', '-C', running.ROOT, 'add', folder], check=True)
        assert running.machine()['commit'] == known


def test_what_starts_from_a_diverged_row_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(running, 'start_command', lambda *_: pytest.fail('a row runs'))
    variants = dict(a=Variant('a', {}), b=Variant('b', {}, start_from='a'))
    shared = Config(dict(val_dataloader=dict(batch_size=1), val_evaluator=dict(type='PCKhAUC')))
    plan = Plan('plan.py', variants, shared=shared)
    runs = running.Runs(plan, tmp_path, tmp_path / 'runs')
    found = dict(cfg_options={}, start_from=None, weights_of=None, diverged='not finite')
    (tmp_path / 'a_0.json').write_text(json.dumps(found))
    (job,) = plan.jobs([0])
    assert list(runs.run(job)) == ['b, seed 0: a: not finite']
    assert json.loads((tmp_path / 'b_0.json').read_text())['diverged'] == 'a: not finite'


def test_an_error_of_an_earlier_run_is_not_told_again(tmp_path, monkeypatch):
    killed = SimpleNamespace(start=lambda: None, join=lambda: None, exitcode=-9)
    monkeypatch.setattr(running, 'context', lambda _: SimpleNamespace(Process=lambda **_: killed))
    (tmp_path / 'log').write_text('error: the loss is not finite\n')
    assert running.start_command('train', [], tmp_path / 'log') == 'status -9'


@pytest.mark.parametrize(
    'variants, words',
    [
        ("dict(a={'start_from': 'b'})", "no other variant 'b'"),
        ("dict(a={'start_from': 'b'}, b={'weights_of': 'a'})", 'needs itself'),
        ("dict(a={}, b={'weights_of': 'a', 'start_from': 'a'})", 'not both'),
        ("dict(a={}, b={'against': 'c'})", "no other variant 'c'"),
        ('dict(a={})\nseeds = 3', 'expected a list of whole numbers'),
        ("dict(a={})\nsynthetic = dict(layout='mpii')", 'give out, the folder'),
    ],
)
def test_plans_that_cannot_be(variants, words, tmp_path):
    (tmp_path / 'plan.py').write_text(f'variants = {variants}\n')
    with pytest.raises(InputError, match=words):
        read_plan(str(tmp_path / 'plan.py'))


DOCUMENT = (tiny_run.REPOSITORY / 'docs/ablation.md').read_text()


def test_commands_of_the_document(inside, monkeypatch, capsys):
    """Each on the tiny plan; a job for a cluster is one of this process."""
    blocks = re.findall(r'```bash\n(.*?)```', DOCUMENT, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 6
    monkeypatch.setattr(running, 'start_command', lambda *_: pytest.fail('a row runs again'))
    shutil.copytree('results/plan', 'mine')
    for line in lines:
        words = line.replace('tools/plans/ablation_msspose.py', 'PLAN').split()
        assert words[:3] == ['mspose', 'ablate', 'PLAN']
        words = ['1' if word == '3' else 'debug' if word == 'slurm' else word for word in words]
        ablate(*words[3:])
    assert (inside / 'ablation.png').is_file()


def test_plan_of_the_document(tmp_path):
    (text,) = re.findall(r'```python\n(.*?)```', DOCUMENT, re.DOTALL)
    base = tiny_run.REPOSITORY / 'configs/demo/msspose_synthetic.py'
    (tmp_path / 'plan.py').write_text(text.replace('configs/demo/msspose_synthetic.py', str(base)))
    plan = read_plan(str(tmp_path / 'plan.py'))
    assert [[v.name for v in job.variants] for job in plan.jobs([0])] == [
        ['slow'],
        ['fast', 'longer', 'no_mirror'],
    ]
    assert [v.against for v in plan.variants.values()] == [(), ('slow',), ('fast',), ('longer',)]
    for name in re.findall(r'`(\w+)`', DOCUMENT.split('s `tools/plans/`:')[1].split('## Where')[0]):
        assert (tiny_run.REPOSITORY / f'tools/plans/{name}.py').is_file()
    assert plan.config(plan.variants['longer'], 2).train_cfg.max_epochs == 2
    slow, fast = (plan.config(plan.variants[name], 0) for name in ('slow', 'fast'))
    assert slow.param_scheduler != fast.param_scheduler  # the rate is the cycle's, not AdamW's
