"Models that travel: a chain, a saved folder and ONNX say what the training run has written, wherever they lie."
import shutil
from pathlib import Path

import numpy as np, onnxruntime, pandas as pd, pytest, timm, torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from affect_nb.cli import app
from affect_nb.data.images import read_image
from affect_nb.data.loaders import Windows, merge_windows
from affect_nb.files import InputError
from affect_nb.infer.chain import load_chain, resize
from affect_nb.infer.onnx import export_onnx
from affect_nb.runs.profile import ASKED
from affect_nb.runs.record import finished, read_record, run_folder
from affect_nb.runs.request import Setup
from affect_nb.runs.run import open_run
from affect_nb.train.scores import predictions_of

TOLERANCE = 1e-4


def make(out, kind, settings=None, encoder='', **asked):
    "Make a run of the smallest profile and all it starts from, in this process; its folder."
    setup = Setup('smoke', out=str(out), encoder=encoder)
    request = setup.request(kind, settings, **asked)
    for r in request.chain():
        if finished(out, r): continue
        own = Setup('smoke', out=str(out), encoder=r.call.get('encoder', ''))
        run = open_run(own, r.kind, r.call['settings'], **{k: r.call[k] for k in ASKED[r.kind]})
        learn = run.learner()
        run.finish(learn, run.fit(learn))
    return run_folder(out, request)


def faces_of(folder):
    "The validation frames of a run, and their windows."
    record = read_record(folder)
    project = Setup('smoke', out=str(folder.parent.parent)).project()
    df = project.frames_of('CE' if record.kind == 'ce' else '')
    df = df[df['split'] == 'val'].reset_index(drop=True)
    p = record.params
    return df, Windows(df, p.get('seq_len', 1), p.get('hop', 1))


def by_chain(chain, folder):
    "What a chain predicts for the validation frames of a run, from pixels."
    df, windows = faces_of(folder)
    x, other = chain.embed(np.stack([read_image(f) for f in df['image']]))
    rows = windows.rows(np.arange(len(windows)))
    at = rows[rows >= 0]
    pred = chain.outputs(x[at], None if other is None else other[at], torch.from_numpy(rows >= 0))
    return {t: merge_windows(p, at, len(df)) for t, p in pred.items()}


def by_onnx(chain, folder, files):
    "The same from ONNX files."
    df, windows = faces_of(folder)
    crops = np.stack([read_image(f) for f in df['image']])
    first, *second = [onnxruntime.InferenceSession(str(f), providers=['CPUExecutionProvider']) for f in files]
    names = [i.name for i in first.get_inputs()]
    seen = first.run(None, {n: resize(crops, s) for n, s in zip(names, chain.sizes)})
    if not second: return dict(zip(chain.tasks, seen))
    rows = windows.rows(np.arange(len(windows)))
    given = {n: np.where(rows[..., None] >= 0, v[rows], 0) for n, v in zip(('x', 'other'), seen)}
    pred = second[0].run(None, given | dict(mask=rows >= 0))
    return {t: merge_windows(p[rows >= 0], rows[rows >= 0], len(df)) for t, p in zip(chain.tasks, pred)}


def written(folder, tasks):
    "What the training has written for the validation frames."
    table = pd.read_parquet(folder/'predictions.parquet')
    return {t: predictions_of(table, 'val', t).pred for t in tasks}


def same(one, other):
    assert list(one) == list(other)
    for t in one: assert np.abs(one[t] - other[t]).max() <= TOLERANCE, t


@pytest.fixture(scope='module')
def out(tmp_path_factory): return tmp_path_factory.mktemp('portable')/'smoke'


@pytest.fixture(scope='module')
def convnet(tmp_path_factory):
    "A timm network of convolutions whose weights lie in a file."
    file = tmp_path_factory.mktemp('weights')/'lcnet.safetensors'
    torch.manual_seed(0)
    save_file(timm.create_model('lcnet_050').state_dict(), file)
    return f'timm:lcnet_050@{file}'


@pytest.fixture(scope='module')
def row(out):
    "Fused experts, windows and joint tasks, on stored features."
    tasks = 'V+A+EXPR+AU'
    return make(out, 'mtl', dict(tune='head'), tasks=tasks, fuse='AU', seq_len=5, hop=3, temporal='lstm')


@pytest.fixture(scope='module')
def runs(out, row, convnet):
    "One run of each kind, by name."
    return dict(
        finetune=make(out, 'finetune'), row=row,
        compound=make(out, 'ce', stage_epochs=[1], compound_share=[0.]),
        convnet=make(out, 'finetune', dict(tune='head'), encoder=convnet))


@pytest.mark.parametrize('name', ['finetune', 'row', 'compound', 'convnet'])
def test_a_chain_a_saved_folder_and_onnx_say_what_the_training_has_written(runs, name, tmp_path):
    folder = runs[name]
    chain = load_chain(folder)
    want = written(folder, chain.tasks)
    same(by_chain(chain, folder), want)
    chain.save_pretrained(tmp_path/'made')
    shutil.move(tmp_path/'made', tmp_path/'moved')
    saved = load_chain(tmp_path/'moved')
    same(by_chain(saved, folder), want)
    assert saved.frame_interval == chain.frame_interval and saved.smoothing == chain.smoothing
    assert (saved.thresholds == chain.thresholds).all()
    same(by_onnx(saved, folder, export_onnx(saved, tmp_path/'onnx')), want)


def test_nothing_that_travels_is_pickled_or_names_a_path(row, tmp_path):
    load_chain(row).save_pretrained(tmp_path)
    assert {f.name for f in tmp_path.iterdir()} == {'config.json', 'model.safetensors', 'README.md'}
    for name in ('config.json', 'README.md'):
        text = (tmp_path/name).read_text(encoding='utf-8')
        assert str(row.parents[2]) not in text and str(Path.home()) not in text
    card = (tmp_path/'README.md').read_text(encoding='utf-8')
    assert 'Trained on drawn faces' in card and 'prohibited' in card and row.name in card


def test_each_encoder_once(row, tmp_path):
    chain = load_chain(row)
    assert len(chain.encoders) == 2 # of the fine-tuning, and of the expert
    assert [l.own for l in chain.links] == [chain.links[0].own] * len(chain.links)
    assert len(chain.only('V').models) == 1


def test_an_output_folder_can_be_moved(row, tmp_path):
    shutil.copytree(row.parent, tmp_path/'runs')
    moved = tmp_path/'runs'/row.name
    same(by_chain(load_chain(moved), row), written(row, load_chain(row).tasks))
    expert = read_record(moved).others[0]['run']
    (tmp_path/'runs'/expert/'record.json').unlink()
    with pytest.raises(InputError, match=f'needs the run {expert}'): load_chain(moved)


def test_a_model_that_somebody_gave_must_be_the_same(runs, convnet, tmp_path):
    file = Path(convnet.partition('@')[2])
    kept = file.read_bytes()
    try:
        torch.manual_seed(1)
        save_file(timm.create_model('lcnet_050').state_dict(), file)
        with pytest.raises(InputError, match='has changed since'): load_chain(runs['convnet'])
    finally: file.write_bytes(kept)


def test_the_command(row, tmp_path):
    def call(*args): return CliRunner().invoke(app, [*map(str, args)])
    done = call('export', row, tmp_path/'whole', '--half')
    assert done.exit_code == 0 and 'model.safetensors' in done.output
    (tmp_path/'whole'/'model.safetensors').unlink()
    done = call('export', tmp_path/'whole', tmp_path/'again')
    assert done.exit_code == 2 and 'model.safetensors is missing' in done.stderr
    done = call('export', row, row)
    assert done.exit_code == 2 and 'is the folder of a run' in done.stderr
