"Several processes against one, and a batch in parts against the whole of it: the same training."
import json, os, signal, subprocess, sys, time
from pathlib import Path

import numpy as np, pandas as pd, pytest, torch

from affect_nb.data.loaders import WindowDataset, Windows
from affect_nb.files import InputError
from affect_nb.frames import make_frames
from affect_nb.labels import AUS, EXPRS
from affect_nb.models.affect import AffectModel
from affect_nb.models.encoder import create_encoder
from affect_nb.runs.execute import RunFailed
from affect_nb.runs.launch import launch
from affect_nb.train.learner import affect_learner, fit_affect

TASKS, SIZE = ['V', 'A', 'EXPR', 'AU'], dict(img_size=16, patch_size=8, embed_dim=24, depth=2, num_heads=2)


class Noise(WindowDataset):
    "Windows of pictures that are not files."
    def __getitems__(self, batch):
        _, _, mask, y, rows = super().__getitems__(batch)
        return torch.from_numpy(self.pictures[rows]), None, mask, y, rows


def windows(split, videos, seed):
    "Videos of different lengths, a third of them without expressions; brightness tells the labels."
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 12, videos)
    video, n = np.repeat(np.arange(videos), lengths), lengths.sum()
    v = rng.uniform(-1, 1, n)
    df = pd.DataFrame(dict(image='none', video=[f'{split}{k:03}' for k in video], split=split, valence=v, arousal=v**2,
                           frame=np.concatenate([np.arange(k) for k in lengths]),
                           expr=np.where(video % 3, np.array(EXPRS)[(v > 0).astype(int)], None)))
    df = make_frames(df.assign(**{au: (v > 0).astype(float) for au in AUS}))
    ds = Noise(df, Windows(df, 4, 3), features=np.zeros((n, 1), np.float32))
    ds.pictures = (rng.normal(size=(n, 3, 16, 16)) + df['valence'].to_numpy()[:, None, None, None]).astype(np.float32)
    return df, ds


def train(folder, device_batch=None, epochs=4, ema=0., loss='joint'):
    "A training of images with a temporal part: what it says of each epoch, its predictions, its model."
    torch.manual_seed(0)
    torch.set_num_threads(1)
    (_, train), (df, valid) = windows('train', 40, 0), windows('val', 12, 1)
    model = AffectModel(create_encoder(SIZE), TASKS, temporal='lstm')
    model.device_batch = device_batch
    learn = affect_learner(model, train, valid, 48, loss=loss)
    scores = fit_affect(learn, df, folder, epochs, 1e-3, seed=3, ema=ema)
    pred = np.concatenate([scores.best[t]['pred'][t].numpy() for t in TASKS], 1)
    return pd.DataFrame(scores.history.rows).drop(columns='seconds'), pred, model


def together(folder, processes, stop_after=0., **how):
    "The same by several processes of gloo: log and predictions of each."
    code = (f'import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import numpy as np, torch; from pathlib '
            f'import Path\n'
            'from test_ranks import train; torch.distributed.init_process_group("gloo"); rank = '
            'torch.distributed.get_rank()\n'
            f'log, pred, _ = train(Path({str(folder)!r}), **{how!r}); log.to_csv(f"{folder}/log{{rank}}.csv"); '
            f'np.save(f"{folder}/pred{{rank}}.npy", pred)')
    (folder/'main.py').write_text(code)
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}',
               str(folder/'main.py')]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        while stop_after and not (folder/'checkpoint.pt').exists() and p.poll() is None: time.sleep(.05)
        if stop_after: p.send_signal(signal.SIGTERM)
        said = p.stdout.read()
    if stop_after: return said
    assert p.returncode == 0, said[-3000:]
    return [(pd.read_csv(folder/f'log{r}.csv', index_col=0), np.load(folder/f'pred{r}.npy')) for r in range(processes)]


@pytest.fixture(scope='module')
def alone(tmp_path_factory): return train(tmp_path_factory.mktemp('alone'))


def test_a_batch_in_parts_is_the_whole_batch(alone, tmp_path):
    for k in (1, 7):
        (tmp_path/str(k)).mkdir()
        log, pred, model = train(tmp_path/str(k), device_batch=k)
        np.testing.assert_allclose(log, alone[0], atol=1e-4)
        np.testing.assert_allclose(pred, alone[1], atol=1e-4)


def test_two_processes_are_one(alone, tmp_path):
    found = together(tmp_path, 2)
    for log, pred in found:
        np.testing.assert_allclose(log, alone[0], atol=1e-4)
        np.testing.assert_allclose(pred, alone[1], atol=1e-4)
    assert len(alone[0]) * len(windows('train', 40, 0)[1].batches(48, True, 0)) >= 20 # steps


def test_two_processes_stop_and_go_on(alone, tmp_path):
    said = together(tmp_path, 2, stop_after=True)
    assert (tmp_path/'checkpoint.pt').exists() and not (tmp_path/'log0.csv').exists(), said[-2000:]
    for log, pred in together(tmp_path, 2):
        np.testing.assert_allclose(log, alone[0], atol=1e-4)
        np.testing.assert_allclose(pred, alone[1], atol=1e-4)


@pytest.mark.slow
def test_two_processes_average_their_weights_as_one(tmp_path):
    how = dict(ema=.8, loss='logit_adjusted', epochs=2)
    (tmp_path/'alone').mkdir(), (tmp_path/'two').mkdir()
    log, pred, _ = train(tmp_path/'alone', **how)
    for other in together(tmp_path/'two', 2, **how):
        np.testing.assert_allclose(other[0], log, atol=1e-4)
        np.testing.assert_allclose(other[1], pred, atol=1e-4)


def test_more_gpus_than_there_are(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    with pytest.raises(InputError, match='the mtl run needs 4 GPUs .gpus in the profile., but can have 1 here'):
        launch('mtl', {}, tmp_path, (), 4)


def test_a_process_that_fails_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    call = dict(profile='nosuch', data='', seed=0, settings={}, tasks=['V'])
    with pytest.raises(RunFailed, match="processes was lost .unknown profile 'nosuch'"):
        launch('mtl', call, tmp_path, (), 2)
