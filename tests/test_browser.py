"What a person sees and does in a browser: every explorer as a page, and JupyterLab."
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import nbformat, pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from affect_nb.explore.serve import copy_explorers
from affect_nb.runs.profile import SHIPPED
from browser import HERE, end, free_port, start, wait_for

pytestmark = pytest.mark.browser

MOVING = '''
import os, ipywidgets as w
ratio, kind = w.IntSlider(description='ratio', max=20), w.Dropdown(description='kind', options=['a', 'b'])
name, go, said = w.Text(description='name', continuous_update=False), w.Button(description='Go'), w.Label()
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
    write_page(server.pages, 'curious', "from IPython.display import HTML\n"
                                        "HTML('<img src=\"https://example.com/a.png\" alt=\"not there\"> shown')")
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


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    "A picture and a clip of a drawn person who smiles."
    import av, cv2, numpy as np
    from affect_nb.data.drawing import draw_face, make_identity, save_jpeg
    folder = tmp_path_factory.mktemp('faces')
    def scene(smile):
        image = np.full((240, 320, 3), (190, 200, 205), np.uint8)
        image[20:220, 60:260] = cv2.resize(draw_face(make_identity(2), dict(AU6=.6 * smile, AU12=smile),
                                                     background=(190, 200, 205)), (200, 200))
        return image
    save_jpeg(scene(1), folder/'smile.jpg')
    with av.open(str(folder/'clip.mp4'), 'w') as c:
        s = c.add_stream('mpeg4', rate=25)
        s.width, s.height, s.pix_fmt, s.bit_rate = 320, 240, 'yuv420p', 4_000_000
        for k in range(30): c.mux(s.encode(av.VideoFrame.from_ndarray(scene(k / 29), format='rgb24')))
        c.mux(s.encode())
    return folder


def test_try_a_dropped_picture(page, faces):
    page.open('try').wait('choose a file')
    page.shot('before')
    page.drop('.affect-drop', faces/'smile.jpg')
    said = page.wait('smile.jpg: 1 face', 120)
    for words in ('expression Happiness', 'AU12 lip corner puller', 'lie nearer to their middle',
                  'do not come with it'):
        assert words in said, said
    assert 'bars for: Face 1' in page.find('img[alt*="its boxes"]').get_attribute('alt')
    assert 'DiffusionFER' not in said
    page.find('summary').click()
    page.wait('DiffusionFER (CC0-1.0)')
    page.shot('answered')
    page.size(390, 1400)
    page.shot('on a phone')


def test_try_a_pasted_picture_and_two_models(page, faces):
    "The second model is named beside the first, and both answer."
    page.open('try')
    page.type('Second', str(SHIPPED))
    page.paste('.affect-drop', faces/'smile.jpg')
    said = page.wait('smile.jpg: 1 face', 120)
    for title in ("\nthe package's model\n", '\nencoder\n'): assert title in said, said
    assert said.count('Face 1 (found') == 3, said # the two, and the example below
    page.shot('two models')


def test_try_a_video_that_jumps(page, faces):
    "The keyboard alone: a path is typed, the timeline is walked."
    from selenium.webdriver.common.keys import Keys
    page.open('try')
    page.type('Path', str(faces/'clip.mp4'))
    page.press('Look')
    page.wait('clip.mp4: 30 frames with a face', 120)
    scrub = page.find('.affect-scrub')
    page.shot('first frame')
    scrub.find_element('css selector', 'input[type=range]').send_keys(Keys.END)
    page.wait('30 of 30')
    page.wait('frame 30: ')
    page.find('.affect-timeline').click() # in the middle
    page.wait(' of 30 ·')
    assert not {'30 of 30', '1 of 30 '} & {*page.text().splitlines()}
    wait_for(lambda: page.find('.affect-scrub').get_attribute('data-shown') not in ('', '29'))
    page.shot('in the middle')


def test_try_says_what_is_wrong(page, tmp_path):
    page.open('try')
    (tmp_path/'notes.txt').write_text('no picture')
    page.find('.affect-file').send_keys(str(tmp_path/'notes.txt'))
    said = page.wait('neither a picture nor a video')
    assert 'affect_drop_' not in said and 'notes.txt: neither' in said


def test_jupyterlab_runs_all(page, tmp_path):
    "A person opens JupyterLab, runs all cells of a notebook by the menu, and moves what it shows."
    pages, port = copy_explorers(tmp_path/'explore'), free_port()
    write_page(pages, 'moving', MOVING)
    code = (f'from pathlib import Path; from affect_nb.explore import serve; serve.EXPLORERS = Path({str(pages)!r}); '
            f'serve.serve_lab({port}, False)')
    process = start(sys.executable, '-W', 'ignore', '-c', code, port=port, folder=tmp_path, log=tmp_path/'said.log')
    try:
        token = (tmp_path/'said.log').read_text().split('?token=')[1].split()[0]
        page.go(f'http://{HERE}:{port}/lab/tree/explore/moving.ipynb?token={token}')
        page.find('.jp-Notebook .jp-CodeCell', 120)
        page.click('.lm-MenuBar-itemLabel', 'Run')
        page.click('.lm-Menu-itemLabel', 'Run All Cells')
        page.wait('now 0 a in explore', 120)
        page.set_slider('ratio', 3)
        assert 'Jupyter news' not in page.wait('now 3 a')
        page.shot('run')
    finally: left = end(process)
    assert not left
