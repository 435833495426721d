"What a person sees and does in a browser: every explorer as a page, and JupyterLab."
from urllib.error import HTTPError
from urllib.request import urlopen

import nbformat, pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = pytest.mark.browser

MOVING = '''
import os, ipywidgets as w
ratio, kind, name, go, said = w.IntSlider(description='ratio', max=20), w.Dropdown(description='kind', options=['a', 'b']), w.Text(
    description='name', continuous_update=False), w.Button(description='Go'), w.Label()
def say(_=None): said.value = f'now {ratio.value} {kind.value} {name.value} in {os.path.basename(os.getcwd())}'
for x in (ratio, kind, name): x.observe(say, 'value')
def gone(_): said.value += ' gone'
go.on_click(gone)
say()
w.VBox([ratio, kind, name, go, said])'''


def write_page(folder, name, *cells):
    nb = new_notebook(cells=[new_markdown_cell('# A page'), *map(new_code_cell, cells)])
    nb.metadata.kernelspec = dict(display_name='python3', language='python', name='python3')
    nbformat.write(nb, folder/f'{name}.ipynb')


def test_a_person_moves_chooses_and_types(server, page):
    write_page(server.pages, 'moving', MOVING)
    page.open('moving').wait(f'now 0 a in {server.home.name}')
    page.set_slider('ratio', 7)
    page.choose('kind', 'b')
    page.type('name', 'Ada')
    page.wait('now 7 b Ada')
    page.set_slider('ratio', 5)
    page.wait('now 5 b Ada')
    page.press('Go')
    assert 'import ipywidgets' not in page.wait('gone')


def test_no_page_reaches_another_host(server, page):
    "Neither by its template nor by what a notebook shows."
    write_page(server.pages, 'curious', "from IPython.display import HTML\nHTML('<img src=\"https://example.com/a.png\" alt=\"not there\"> shown')")
    page.open('curious').wait('shown')


def test_a_failing_cell_is_seen(server, page):
    write_page(server.pages, 'failing', '1/0')
    with pytest.raises(AssertionError, match='error when executing cell'): page.open('failing')


def test_nothing_without_the_token(server):
    write_page(server.pages, 'secret', "print('a secret')")
    def read(path):
        try:
            with urlopen(server.url + path) as r: return r.status, r.read().decode()
        except HTTPError as e: return e.code, ''
    assert read('/voila/files/secret.ipynb')[0] == 403
    for path in ('/', '/voila/render/secret.ipynb', '/voila/render/secret.ipynb?token=wrong'):
        status, text = read(path)
        assert 'secret' not in text.replace('next=%2Fvoila%2Frender%2Fsecret.ipynb', '') and 'token' in text, text
    status, text = read(f'/voila/render/secret.ipynb?token={server.token}')
    assert status == 200 and 'a secret' in text
