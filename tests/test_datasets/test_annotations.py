"""Fields of annotation files: read as columns, refused by file, entry and field."""

import numpy as np
import pytest

from mspose_plugin.datasets.annotations import INTEGER, numeric, read_columns, text
from mspose_plugin.utils.errors import InputError

FIELDS = dict(
    id=INTEGER,
    name=text(r'\d+\.', 'a number and a dot'),
    box=numeric(2),
    size=numeric(positive=True),
    crowd=numeric(default=0),
)


def entry(**changes):
    return {**dict(id=7, name='1.jpg', box=[1, 2.5], size=3, other='x'), **changes}


def read(*entries):
    return read_columns("file 'a.json'", 'person', list(entries), FIELDS, 'correct it')


def test_columns():
    columns = read(entry(), entry(id=8, crowd=1))
    assert columns.keys() == FIELDS.keys()
    assert columns['id'] == [7, 8] and columns['name'] == ['1.jpg'] * 2
    np.testing.assert_array_equal(columns['box'], [[1, 2.5]] * 2)
    np.testing.assert_array_equal(columns['crowd'], [0, 1])
    assert columns['box'].dtype == np.float64
    assert read() == dict.fromkeys(FIELDS, [])
    assert np.isnan(numeric(2, finite=False).read([[1, float('nan')]])).any()


@pytest.mark.parametrize(
    'bad, message',
    [
        (3, 'person number 1 is 3: expected an object with id, name, box, size'),
        (entry(id='x'), "person 'x' has id='x': expected an integer"),
        (entry(name='x.jpg'), "person 7 has name='x.jpg': expected a number and a dot"),
        (entry(name=1), 'person 7 has name=1: expected'),
        (entry(box=[1]), r'person 7 has box=\[1\]: expected 2 finite numbers'),
        (entry(box=[1, None]), 'person 7 has box='),
        (entry(box=[1, float('inf')]), 'person 7 has box='),
        (entry(size=0), 'person 7 has size=0: expected a finite positive number'),
        (entry(crowd=None), 'person 7 has crowd=None: expected a finite number'),
        ({k: v for k, v in entry().items() if k != 'size'}, 'person 7 lacks size: expected'),
        ({k: v for k, v in entry().items() if k != 'id'}, 'person number 1 lacks id: expected'),
    ],
)
def test_the_first_bad_entry_is_named(bad, message):
    with pytest.raises(InputError, match=f"^file 'a.json': {message}.*; correct it$") as e:
        read(entry(), bad, entry())
    assert '\n' not in str(e.value)


def test_what_is_no_list():
    with pytest.raises(InputError, match="^file 'a.json' is not a list of entries with id, name"):
        read_columns("file 'a.json'", 'person', dict(a=1), FIELDS, 'correct it')
