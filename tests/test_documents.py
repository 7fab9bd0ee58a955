"""Every block of every document: commands parse, Python imports what there is, configs load.

What a block does is asserted by the tests in :data:`RUN_BY`, which read the page and run it.
"""

import argparse
import ast
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from mmengine.config import Config
from packaging.requirements import Requirement

import mspose_command
from mspose_plugin.cli import arguments
from mspose_plugin.cli.configs import read_config

ROOT = Path(__file__).parents[1]
PAGES = [
    *(path.name for path in ROOT.glob('*.md')),
    *sorted(
        path.relative_to(ROOT).as_posix()
        for folder in ('docs', 'configs')
        for path in ROOT.glob(f'{folder}/**/*.md')
    ),
]
RUN_BY = {
    'docs/tour.md': 'tests/test_tools/test_tour.py',
    'docs/ablation.md': 'tests/test_ablation/test_ablate.py',
    'docs/export.md': 'tests/test_export/test_document.py',
    'docs/own-data.md': 'tests/test_tools/test_own_data.py',
    'docs/pictures.md': 'tests/test_cli/test_draw.py',
    'docs/video.md': 'tests/test_cli/test_predict.py',
    'docs/web.md': 'tests/test_web/test_document.py',
}
"""Page -> the test that runs all of its blocks."""
SHELL = (
    'cd',
    'curl',
    'mkdir',
    'mv',
    'python -m http.server',
    'python -m venv',
    'sha256sum',
    'md5sum',
    'tar',
    'unzip',
)
"""What else a page may tell the reader to type: standard tools."""
BLOCK = re.compile(r'^```(\w*)\n(.*?)^```', re.DOTALL | re.MULTILINE)
LEFT_ALONE = ('text', 'json', 'yaml')
PLACEHOLDERS = ('CONFIG', 'CHECKPOINT')


def blocks(page, *languages):
    return [b for lang, b in BLOCK.findall((ROOT / page).read_text()) if lang in languages]


def test_every_block_has_a_known_language():
    found = {lang for page in PAGES for lang, _ in BLOCK.findall((ROOT / page).read_text())}
    assert {'bash', 'python'} <= found <= {'bash', 'python', *LEFT_ALONE}


@pytest.mark.parametrize('page', RUN_BY)
def test_the_pages_that_are_run_are_read_by_their_test(page):
    assert page.partition('/')[2] in (ROOT / RUN_BY[page]).read_text()


# ---------------------------------------------------------------- commands


def commands(code):
    """Split a shell script into commands: lists of words, without what surrounds them."""
    for line in code.replace('\\\n', ' ').splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars='();<>|&')
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ';']:
            if token[0] not in ';|&':
                words.append(token)
                continue
            if '>' in words:  # into a file
                words = words[: words.index('>')]
            while words and re.fullmatch(r'\w+=.*', words[0]):
                words = words[1:]
            if words:
                yield words
            words = []


def parser_of(words):
    """Return the parser of a command of this project, and the words that it parses."""
    if words[0] == 'mspose':
        module, rest = words[1].replace('-', '_'), words[2:]
        assert words[1] in mspose_command.COMMANDS, words
        module = f'mspose_plugin.cli.{module}'
    else:
        path, rest = words[0], words[1:]
        source = (ROOT / path).read_text()
        thin = re.search(r"start\('([\w-]+)'\)", source)
        module = (
            f'mspose_plugin.cli.{thin[1].replace("-", "_")}' if thin else f'tools.{Path(path).stem}'
        )
    parser = Parser(words[0], exit_on_error=False)
    import_module(module).add_arguments(parser)
    return parser, rest


class Parser(argparse.ArgumentParser):
    """Raises; takes files that are not there."""

    def error(self, message):
        raise ValueError(message)

    def _get_value(self, action, text):
        if action.type in (arguments.checkpoint, arguments.device):
            return text
        return super()._get_value(action, text)


def accept(words):
    """Check one command; raise if it cannot be what a reader should type."""
    line, name = ' '.join(words), words[0]
    if name == 'python' and words[1].startswith('tools/'):
        return accept(words[1:])
    if name == 'mspose' and words[1:] in (['--help'], ['--version']):
        return
    if name == 'mspose' or re.fullmatch(r'tools/\w+\.py', name):
        parser, rest = parser_of(words)
        config = getattr(parser.parse_args(rest), 'config', None)
        if name == 'mspose' and words[1] in ('train', 'test', 'calibrate'):
            if config.startswith('configs/'):
                assert (ROOT / config).is_file(), line
            elif config not in PLACEHOLDERS and not config.endswith('.py'):
                read_config(config)  # a name of the project's
    elif name == 'tools/gpu_check.sh':
        accept(['mspose', 'gpu-check', *words[1:]])
    elif re.fullmatch(r'tools/\w+\.sh', name):
        launcher, _, command = Path(name).stem.partition('_')
        count = 1 + (command == 'test')  # CONFIG and, for a test, CHECKPOINT
        first = 3 if launcher == 'slurm' else 1  # after PARTITION and JOB_NAME
        files, rest = words[first : first + count], words[first + count :]
        assert len(files) == count, line
        if launcher == 'dist':
            assert rest and rest[0].isdecimal(), line
            rest = rest[1:]
        elif command == 'train':
            rest = ['--work-dir', *rest]
        accept(['mspose', command, *files, *rest])
    elif name == 'tests/helpers/two_nodes.sh':
        accept([f'tools/{words[1]}', *words[2:]])
    elif name == 'torchrun':
        at = words.index('-m')
        assert words[at + 1] == 'mspose_plugin', line
        accept(['mspose', *words[at + 2 :]])
    elif name == 'make':
        targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        assert [w for w in words[1:] if '=' not in w and w not in targets] == [], line
    elif name == 'pip':
        assert words[1] in ('install', 'uninstall'), line
        project = (ROOT / 'pyproject.toml').read_text()
        extras = re.findall(r'^(\w+) = \[', project.partition('[project.optional')[2], re.M)
        for word in words[2:]:
            if word.startswith(('.', 'mspose-plugin')):
                asked = Requirement(re.sub(r'^\.', 'mspose-plugin', word)).extras
                assert asked <= set(extras), line
            elif not word.startswith('-') and '://' not in word:
                Requirement(word)
    elif name == 'pytest':
        assert all((ROOT / word).exists() for word in words[1:] if word[0] != '-'), line
    else:
        known = (*SHELL, '. .venv/bin/activate', 'pre-commit install')
        assert line.startswith(known), f'{line}: nothing checks this command'


@pytest.mark.parametrize('page', PAGES)
def test_commands_parse(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, 'bash'):
        found = list(commands(block))
        assert found, block
        for words in found:
            accept(words)


@pytest.mark.parametrize('page', PAGES)
def test_commands_within_a_sentence_exist(page):
    """Complete or not: the command, and each option that it is given."""
    text = BLOCK.sub('', (ROOT / page).read_text())
    for span in re.findall(r'`((?:mspose|make|tools/\w+\.py)\s[^`]+)`', text):
        words = span.split()
        if words[0] == 'make':
            accept(words)
        elif words[1][0] != '-':
            parser, rest = parser_of(words)
            options = {word.partition('=')[0] for word in rest if word.startswith('--')}
            assert options <= set(parser._option_string_actions), span


@pytest.mark.parametrize(
    'line',
    [
        'mspose trian CONFIG',
        'mspose train CONFIG --worck-dir a',
        'mspose train msspose_hourglas8_mpii',
        'mspose export CONFIG CHECKPOINT --out a.onnx --precision fp8',
        'tools/count_peaks.py CONFIG CHECKPOINT --distance far',
        'make dema',
        'pip install "mspose-plugin[nothing]"',
        'tools/dist_train.sh CONFIG',
        'frobnicate',
    ],
)
def test_wrong_commands_do_not(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, AssertionError, argparse.ArgumentError)):
        for words in commands(line):
            accept(words)


# ---------------------------------------------------------------- code


def check_imports(code, where):
    """Compile code, and import what it imports."""
    for node in ast.walk(compile(code, where, 'exec', ast.PyCF_ONLY_AST)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                getattr(import_module(node.module), alias.name)


@pytest.mark.parametrize('page', PAGES)
def test_code_compiles_and_finds_its_imports(page):
    for block in blocks(page, 'python'):
        try:
            check_imports(block, page)
        except ModuleNotFoundError as e:
            assert page in RUN_BY, f'{e}: only a page whose test skips may need an extra'


@pytest.mark.parametrize('page', [page for page in PAGES if page not in RUN_BY])
def test_configs_load(page, tmp_path):
    """Whole files are those with a ``_base_``, which stands relative to the page or is MMPose's."""
    for i, block in enumerate(b for b in blocks(page, 'python') if '_base_ =' in b):
        path = tmp_path / f'block{i}.py'
        path.write_text(re.sub(r"'(\.\.?/)", rf"'{(ROOT / page).parent}/\1", block))
        assert 'model' in Config.fromfile(path)


# ---------------------------------------------------------------- messages


def texts(path):
    """List the texts in a module, with … for what is filled in, as a document quotes them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield ''.join(v.value if isinstance(v, ast.Constant) else '…' for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_messages_are_the_programs_own():
    """Quoted with single backticks in the first column; other packages' have double ones."""
    page = (ROOT / 'docs/troubleshooting.md').read_text()
    quoted = re.findall(r'^\| `([^`]+)` \|', page, re.MULTILINE)
    assert len(quoted) > 12
    sources = [*(ROOT / 'mspose_plugin').rglob('*.py'), ROOT / 'mspose_command.py']
    said = [text for path in sources for text in texts(path)]
    for message in quoted:
        parts = [part.strip(' ;:') for part in message.split('…')]
        assert any(all(part in text for part in parts) for text in said), message


def test_modules_that_the_methods_name_exist():
    page = (ROOT / 'docs/methods.md').read_text()
    names = re.findall(r'`((?:\w+/)*\w+\.py)`', page)
    assert len(names) > 12
    assert [n for n in names if not (ROOT / 'mspose_plugin' / n).is_file()] == []
