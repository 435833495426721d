"The faults of the paper's released code, each met through the public functions."
import copy

import numpy as np, pandas as pd, pytest, torch, yaml
from fastai.callback.core import Callback
from PIL import Image

from affect_nb.data.aff_wild2 import read_aff_wild2
from affect_nb.data.loaders import WindowDataset, Windows
from affect_nb.runs.profile import read_profile, resolve
from affect_nb.files import InputError
from affect_nb.frames import make_frames, targets
from affect_nb.labels import AUS, EXPRS, Y
from affect_nb.models.affect import AffectModel, load_model
from affect_nb.models.encoder import save_model
from affect_nb.train.learner import affect_learner, fit_affect, predict
from affect_nb.train.losses import JointLoss
from affect_nb.train.metrics import METRICS

TASKS, D = ['V', 'A', 'EXPR', 'AU'], 16


def table(videos, split, seed):
    "Frames with all labels, some of them missing, and features that tell them."
    rng, n = np.random.default_rng(seed), videos * 8
    df = pd.DataFrame(dict(image=[f'{split}{i // 8}/{i % 8 + 1:05d}.jpg' for i in range(n)],
                           video=[f'{split}{i // 8}' for i in range(n)], frame=np.arange(n) % 8 + 1))
    df[['valence', 'arousal']] = rng.uniform(-1, 1, (n, 2))
    df['expr'] = rng.choice(EXPRS, n)
    df[list(AUS)] = (rng.random((n, 12)) < .4).astype(float)
    df[list(AUS)] = df[list(AUS)].mask(rng.random((n, 12)) < .3)
    df = make_frames(df.assign(split=split))
    known = np.nan_to_num(targets(df)[:, :15])
    feats = known @ np.random.default_rng(0).normal(size=(15, D)) + rng.normal(size=(n, D)) * .5
    return df, feats.astype(np.float32)


def learner(tasks=TASKS, weights=None, wd=0., poison=None):
    "A learner on features, its validation frames, and its validation windows."
    torch.manual_seed(0)
    (train, x), (val, xv) = table(12, 'train', 1), table(8, 'val', 2)
    if poison is not None: x[poison] = np.nan
    sets = [WindowDataset(df, Windows(df, 4), features=f) for df, f in ((train, x), (val, xv))]
    return affect_learner(AffectModel(None, tasks, D), *sets, batch_size=16, weights=weights, wd=wd), train, val


@pytest.mark.parametrize('silent', TASKS)
def test_the_weights_of_the_tasks_act_in_training(silent, tmp_path):
    "Released code: λ weighs the loss that is printed, not the one that is trained."
    learn, _, val = learner(weights={silent: 0})
    before = copy.deepcopy(learn.model.heads.state_dict())
    fit_affect(learn, val, tmp_path, 1, 1e-2)
    moved = {t: (learn.model.heads[t].weight - before[f'{t}.weight']).abs().max().item() for t in TASKS}
    assert moved.pop(silent) == 0 and min(moved.values()) > 1e-3


def test_the_best_checkpoint_is_the_one_that_was_scored(tmp_path):
    "Released code: evaluated before, saved after an epoch of training."
    learn, _, val = learner()
    scores = fit_affect(learn, val, tmp_path, 6, .3)
    log = pd.DataFrame(scores.history.rows)
    for t in TASKS:
        name, best = METRICS[t].name, scores.best[t]
        assert best['score'] == pytest.approx(log[name].max(), abs=1e-9)
        assert log[name].iloc[best['epoch']] == pytest.approx(best['score'], abs=1e-9)
        save_model(scores.load_best(learn.model, t), tmp_path/t)
        pred = predict(load_model(tmp_path/t), learn.dls.valid.dataset)
        assert METRICS[t](pred[t], targets(val)) == pytest.approx(best['score'], abs=1e-6)
        np.testing.assert_allclose(pred[t], scores.predictions(t), atol=1e-6)
    assert any(scores.best[t]['epoch'] < 5 for t in TASKS) # or else the last weights would pass this test


def test_videos_are_not_chosen_by_the_beginning_of_their_names(tmp_path):
    "Released code: '140' also takes the frames of '140-30-632x360'."
    names, lines = ['140', '140-30-632x360', '14', '140_left'], {}
    for k, v in enumerate(names):
        (tmp_path/'cropped_aligned'/v).mkdir(parents=True)
        for i in (1, 2, 3):
            Image.new('RGB', (8, 8)).save(tmp_path/'cropped_aligned'/v/f'{i:05d}.jpg')
            part = lines.setdefault('train' if k % 2 else 'validation', [])
            part.append(f'{v}/{i:05d}.jpg,{k / 10},0,{k},' + ','.join('0' * 12))
    for part, some in (('training', lines['train']), ('validation', lines['validation'])):
        text = '\n'.join(['image,valence,arousal,expression,aus', *some]) + '\n'
        (tmp_path/f'{part}_set_annotations.txt').write_text(text)
    df = read_aff_wild2(tmp_path)
    assert df.groupby('video').size().to_dict() == dict.fromkeys(names, 3)
    for k, v in enumerate(names):
        assert (df.loc[df['video'] == v, 'expr'] == EXPRS[k]).all()
        assert df.loc[df['video'] == v, 'image'].str.contains(f'/{v}/').all()
    rows = Windows(df, 5, 2).rows(np.arange(len(Windows(df, 5, 2))))
    assert all(df['video'].iloc[r[r >= 0]].nunique() == 1 for r in rows)


def test_a_missing_label_never_reaches_a_loss(tmp_path):
    "Released code: on partly labelled rows −1 goes into the binary cross-entropy as a target."
    (tmp_path/'cropped_aligned'/'5').mkdir(parents=True)
    Image.new('RGB', (8, 8)).save(tmp_path/'cropped_aligned'/'5'/'00001.jpg')
    (tmp_path/'training_set_annotations.txt').write_text('image,valence,arousal,expression,aus\n'
                                                         '5/00001.jpg,-5,-5,-1,1,-1,0,-1,-1,-1,-1,-1,-1,-1,-1,1\n')
    y = torch.from_numpy(targets(read_aff_wild2(tmp_path)))[None]
    known = ~y.isnan()
    assert known.sum() == 3 and set(y[known].tolist()) == {0, 1}
    torch.manual_seed(0)
    pred = {t: torch.randn(1, 1, k, requires_grad=True) for t, k in dict(V=1, A=1, EXPR=8, AU=12).items()}
    loss = JointLoss(TASKS)(pred, y)
    loss.backward()
    x, mask = pred['AU'].detach()[0, 0], known[0, 0, Y['AU']]
    by_hand = -(y[0, 0, Y['AU']] * x.sigmoid().log() + (1 - y[0, 0, Y['AU']]) * (1 - x.sigmoid()).log())[mask].mean()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert (pred['AU'].grad[0, 0][~mask] == 0).all() and (pred['AU'].grad[0, 0][mask] != 0).all()
    assert all(pred[t].grad is None or (pred[t].grad == 0).all() for t in ('V', 'A', 'EXPR'))


def test_a_nan_loss_stops_and_names_the_images(tmp_path):
    "Released code: the batch is skipped, and nobody is told."
    learn, train, val = learner(poison=13)
    with pytest.raises(InputError, match='the loss is nan in epoch 0') as e: fit_affect(learn, val, tmp_path, 2, 1e-3)
    assert train['image'][13] in str(e.value) and '\n' not in str(e.value) and not (tmp_path/'checkpoint.pt').exists()


@pytest.mark.parametrize('text', ['1e-5', '1.0e-5', '1E-5', '0.00001', '.1e-4'])
def test_a_rate_in_yaml_is_a_number(text, tmp_path):
    "YAML 1.1 reads 1e-5, without a point, as a text."
    file = tmp_path/'mine.yaml'
    file.write_text(f'base: smoke\nmtl: {{lr: {text}}}\n', encoding='utf-8')
    lr = resolve('mtl', read_profile(file))['lr']
    assert isinstance(lr, float) and lr == 1e-5
    lr = resolve('mtl', read_profile('smoke'), dict(lr=yaml.safe_load(text)))['lr']
    assert isinstance(lr, float) and lr == 1e-5


def test_the_cosine_schedule_moves(tmp_path):
    "Released code: its cosine is a constant."
    learn, _, val = learner(['V'])
    rates = []
    class Rate(Callback):
        order = 90
        def before_batch(self):
            if self.training: rates.append(self.opt.hypers[-1]['lr'])
    learn.add_cb(Rate())
    fit_affect(learn, val, tmp_path, 5, 1e-3, schedule='cosine', warmup=.2)
    top = int(np.argmax(rates))
    assert rates[0] == pytest.approx(1e-3 / 25) and max(rates) == pytest.approx(1e-3, rel=.02) and rates[-1] < 1e-3 / 10
    assert (np.diff(rates[:top + 1]) > 0).all() and (np.diff(rates[top:]) < 0).all()
