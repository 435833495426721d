"""The explorer of runs in a browser: the list is filtered, two runs are chosen, and compared; a number leads to its
faces."""
import json, shutil, sys

import numpy as np, pandas as pd, pytest
from selenium.webdriver.common.keys import Keys

from browser import HERE, end, free_port, start, wait_for

pytestmark = pytest.mark.browser


def write_run(out, project, name, noise, **params):
    "A finished run whose predictions are the labels with noise."
    from affect_nb.frames import targets
    from affect_nb.runs.record import run_folder, write_record
    from affect_nb.train.scores import predictions_table, score_table
    folder, rng = run_folder(out, name), np.random.default_rng(0)
    folder.mkdir(parents=True)
    def noisy(df):
        return df[['valence']].to_numpy(np.float32) + noise * rng.normal(size=(len(df), 1)).astype(np.float32)
    parts = dict(val='val', half_0='val', half_1='val', held_out='held_out')
    table = pd.concat([predictions_table(df := project.split(part), s, dict(V=noisy(df))) for s, part in parts.items()])
    table.to_parquet(folder/'predictions.parquet')
    rows = [f'{e},{noise / (e + 1)},{.9 - noise / (e + 1)},20\n' for e in range(4)]
    (folder/'log.csv').write_text('epoch,train_loss,ccc_v,seconds\n' + ''.join(rows))
    metrics = score_table(table, ['V'], targets(project.split('train')), dict(V=2))
    write_record(folder, dict(
        name=name, kind='mtl', params=dict(tasks=['V'], fuse=[], seq_len=1, hop=1) | params,
        call=dict(profile='smoke', data=''), seed=0,
        code='', git='', upstream=None, others=[], metrics=metrics, peak_memory_mb=300, notes=[],
        data=dict(digest='ab', embedded=True),
        encoder='', losses=dict(first=1., last=.5), seconds=dict(total=120., training=90, beyond=30)))
    return f'{name},{metrics["V"]["ours"]["score"]}'


def write_demo(out):
    "An output folder with two runs of Table 3, one that failed, and the table."
    from affect_nb.runs.request import Setup
    project = Setup('smoke', out=out).project()
    first = write_run(out, project, 'V-S1-W1-11111111', .4, lr=1e-3)
    second = write_run(out, project, 'V-S5-W5-22222222', .1, lr=1e-4)
    (out/'runs'/'V-S9-W9-33333333').mkdir()
    (out/'runs'/'V-S9-W9-33333333'/'error.txt').write_text('a video is too short')
    (out/'tables').mkdir()
    lines = [f'{row},V,ccc_v,,V,{s},{s},,,.56,{run.split(",")[1]},.3,.9,.5,.5,194,drawn,{run.split(",")[0]}'
             for row, s, run in ((7, 1, first), (8, 5, second))]
    head = ('row,task,metric,fuse,joint,S,W,stage_epochs,compound_share,paper,ours,lo,hi,cross_fit,held_out,scored,'
            'data,runs')
    (out/'tables'/'table_3.csv').write_text('\n'.join([head, *lines]) + '\n')
    (out/'tables'/'table_3.json').write_text(json.dumps({}))
    return out


@pytest.fixture(scope='module')
def demo(server):
    yield write_demo(server.home/'runs'/'demo')
    shutil.rmtree(server.home/'runs'/'demo')


def rows(page):
    return [r.text for r in page.driver.find_elements('css selector', '.affect-runs-list tbody tr') if r.is_displayed()]


def search(page, text):
    field = page.find('.affect-runs-list input[type=search]')
    field.send_keys(Keys.CONTROL, 'a')
    field.send_keys(text or Keys.DELETE)


def test_runs_are_filtered_chosen_and_compared(demo, page):
    page.open('runs').wait('2 finished, 1 failed')
    page.shot('opened')
    assert len(rows(page)) == 3
    search(page, 'failed')
    wait_for(lambda: len(rows(page)) == 1 and 'V-S9-W9' in rows(page)[0])
    page.shot('filtered')
    search(page, '')
    wait_for(lambda: len(rows(page)) == 3)
    page.choose('Run', 'V-S1-W1-11111111')
    page.choose('Beside it', 'V-S5-W5-22222222')
    page.press('Parameters')
    assert '0.0001' in page.wait('What differs; the rest is the same')
    page.shot('parameters')
    page.press('Scores')
    page.wait('excludes zero')
    page.shot('scores')
    page.press('Persons')
    page.wait('The first run is less wrong on 0 of')
    page.shot('persons')


def test_from_a_number_to_its_faces(demo, page):
    page.open('runs')
    page.wait('3.8 V S=5: ccc_v')
    page.shot('cell')
    page.press('Worst frames')
    face = page.find('.affect-gallery .affect-face-image', 120)
    face.find_element('xpath', '..').send_keys(Keys.ENTER)
    assert 'Correct' in page.wait('person 0')
    page.shot('face')


@pytest.mark.slow
def test_seven_clicks_to_an_explained_number(page, tmp_path):
    """A newcomer's clock in JupyterLab, as the start page says it: the number with its interval, its run, its
    notebook, its face."""
    from affect_nb.explore.serve import copy_explorers
    write_demo(tmp_path/'runs'/'demo')
    pages, port, clicks = copy_explorers(tmp_path/'explore'), free_port(), 0
    code = (f'from pathlib import Path; from affect_nb.explore import serve; serve.EXPLORERS = Path({str(pages)!r}); '
            f'serve.serve_lab({port}, False)')
    process = start(sys.executable, '-W', 'ignore', '-c', code, port=port, folder=tmp_path, log=tmp_path/'said.log')
    def click(css, seconds=60):
        nonlocal clicks
        clicks += 1
        page.find(css, seconds).click()
    try:
        token = (tmp_path/'said.log').read_text().split('?token=')[1].split()[0]
        page.go(f'http://{HERE}:{port}/lab/tree/explore/start.ipynb?token={token}')
        page.find('.jp-Notebook img[alt^="The picture that Runs"]', 120)
        page.shot('start')
        click('.jp-MarkdownOutput a[href*="runs.ipynb"]')
        click('.jp-NotebookPanel:not(.lm-mod-hidden) [data-jp-item-name="restart-and-run"] jp-button')
        click('.jp-Dialog .jp-mod-accept')
        page.wait('3.8 V S=5: ccc_v', 180)
        page.shot('number')
        page.choose('Cell', next(o.text for o in page.widget('Cell').find_elements('css selector', 'option')
                                 if o.text.startswith('3.7')))
        clicks += 2 # the menu, and what is chosen of it
        said = page.wait('affect train --profile smoke')
        assert '[0.300, 0.900]' in said and 'V-S1-W1-11111111' in said
        assert 'runs/mtl.ipynb' in page.find('.affect-runs-links a').get_attribute('href')
        click('.affect-runs .widget-toggle-buttons button:nth-child(6)')
        click('.affect-gallery .affect-face')
        page.wait('person 0')
        page.shot('explained')
        assert clicks == 7
    finally: left = end(process)
    assert not left
