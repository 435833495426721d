"No absolute path survives in what is meant to be mailed, however somebody spells it."
import html, json, re, time

import pytest
from hypothesis import given, settings, strategies as st

from affect_nb.runs.privacy import clean_copy, path_hider

hide = path_hider(dict(out='/scratch/team/out', data='/corpora/aff wild2'))
WORD = st.text('abcxyzABC0189é写_+=@#%()[]{},!$^;', min_size=1, max_size=8)
NAMES = st.lists(WORD, min_size=1, max_size=3).map(' '.join)
FOLDERS = st.lists(st.one_of(NAMES, st.just('jane')), min_size=1, max_size=5)
ROOTS = st.sampled_from(['/', '//', '/net/', '/scratch/team/out2/', '/scratch/team/', '/scratch/team/out/../',
                         '/scratch/team/out old/', '~/', '~who/',
                         'C:\\', 'C:/', '\\\\host\\share\\', '\\\\?\\C:\\', 'file:///', 'file:///C:/', 'file://host/'])
QUOTED = ('"{}"', "'{}'", '`{}`', 'at "{}", then', "x='{}' y", "f'{}'", '[0] "{}" (of 3)', 'a "b" \'{}\' "c"')


@st.composite
def paths(draw):
    "An absolute path with jane in it."
    root, names = draw(ROOTS), draw(FOLDERS)
    names.insert(draw(st.integers(0, len(names))), 'jane')
    return root + ('\\' if '\\' in root else '/').join(names)


@settings(max_examples=300, deadline=None)
@given(paths(), st.sampled_from(QUOTED))
def test_between_quotes_nothing_is_left(path, where):
    assert 'jane' not in hide(where.format(path))
    assert 'jane' not in hide(json.dumps(dict(x=[path])))
    assert 'jane' not in hide(json.dumps(json.dumps({path: 1})))
    assert 'jane' not in hide(f'<td title="{html.escape(path)}">{html.escape(repr(path))}</td>', html=True)


@settings(max_examples=300, deadline=None)
@given(paths(), st.sampled_from(['{}', 'read {}', '--encoder={}', '-I{}', 'a={}', '({})', '{}: no such file', 'x: {}',
                                 '<b>{}</b>', '\x1b[32m{}\x1b[39m', '>{}', '-{}', 'file {}\n']))
def test_folders_without_quotes(path, where):
    "Names with blanks too: up to the last one, of which only the first word is sure to be a path's."
    folders = re.sub(r'[:;.](?= )', '', path) + ('\\' if '\\' in path else '/') + 'x.pth'
    assert 'jane' not in hide(where.format(folders), html='<b>' in where)


@settings(max_examples=200, deadline=None)
@given(st.text('/\\\'"`<>ab~:-=.& \x1b[m\n', max_size=60))
def test_it_ends_and_changes_nothing_twice(text):
    once = hide(text)
    assert hide(once) == once


@pytest.mark.parametrize('text', ['x /a b c ' * 9000, '/' + 'a' * 90_000, "'/x " * 20_000, '\\' * 50_000,
                                  '"' * 50_000 + '/x', '\x1b[0m' * 20_000 + '/x', '/a b' * 20_000, '-I' * 30_000 + '/',
                                  '&quot;/x' * 10_000], ids=range(9))
def test_no_text_takes_long(text):
    began = time.process_time()
    hide(text), hide(text, html=True)
    assert time.process_time() - began < 4


def test_every_corner_of_a_notebook():
    "Sources, outputs, tracebacks, keys, metadata and attributes."
    def place(n): return f'/net/jane doe/{n}.pth'
    output = dict(output_type='error', ename='X', evalue=place(1),
                  traceback=[f'File \x1b[32m{place(2)}:12\x1b[39m, in f'])
    shown = dict(output_type='display_data', metadata={place(3): 1},
                 data={'text/html': [f'<a href="{place(4)}">', f'{place(5)}</a>'], 'text/plain': repr(place(6)),
                       'application/json': {'x': place(7)}, 'image/svg+xml': f'<text>{place(8)}</text>'})
    cell = dict(cell_type='code', metadata=dict(tags=[place(9)]), source=[f'x = {place(10)!r}\n', f'# {place(11)}'],
                outputs=[output, shown])
    called = dict(parameters=dict(encoder=place(12)), exception=place(13))
    clean = clean_copy(dict(cells=[cell], metadata=dict(papermill=called)), hide)
    assert 'jane' not in json.dumps(clean) and 'pth' not in json.dumps(clean)
    assert json.dumps(clean).count('elsewhere') == 13
