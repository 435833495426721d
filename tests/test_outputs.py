"""The table notebooks show the tables of a demo with three seeds, and those of the code and the settings as they are
now."""
import nbformat, pytest

from outputs import NOTEBOOKS, PROFILE, STAMP, code_cells, is_fresh, put


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_those_of_the_demo(path):
    if not is_fresh(nbformat.read(path, 4)):
        pytest.fail(f'{path.name} has no outputs, or those of other code, numbers or settings: run make outputs',
                    pytrace=False)


def test_outputs_travel_and_grow_stale(tmp_path):
    nb = nbformat.read(NOTEBOOKS[0], 4)
    for cell in nb.cells:
        if cell.cell_type == 'code': cell.outputs = []
    nb.metadata.pop(STAMP, None)
    path, executed = tmp_path/NOTEBOOKS[0].name, tmp_path/'executed.ipynb'
    nbformat.write(nb, path)
    assert not is_fresh(nb)
    code_cells(nb)[-1].outputs = [nbformat.v4.new_output('stream', name='stderr', text='note\n'),
                                  nbformat.v4.new_output('execute_result',
                                                         {'text/plain': 'a table', 'application/x': 'live'},
                                                         execution_count=3)]
    nb.metadata.papermill = dict(parameters=dict(profile=PROFILE, data=''))
    nbformat.write(nb, executed)
    put(path, executed)
    now = nbformat.read(path, 4)
    assert is_fresh(now)
    assert [o.data for c in code_cells(now) for o in c.outputs] == [{'text/plain': 'a table'}]
    assert any('parameters' in c.metadata.get('tags', []) for c in now.cells)
    now.cells[-1].source += '\n# changed'
    assert not is_fresh(now)
    nbformat.write(now, path)
    with pytest.raises(AssertionError, match='not of the code'): put(path, executed)
    now.metadata.papermill = dict(parameters=dict(profile='demo', data=''))
    nbformat.write(now, executed)
    with pytest.raises(AssertionError, match=f'not of {PROFILE}'): put(path, executed)
