"The command that scores: anybody's predictions, labels in every layout, and what it refuses."
import numpy as np, pandas as pd, pytest

from affect_nb.labels import AUS, EXPRS
from common import affect

VIDEOS, N = ['341', '7-60-1920x1080_left', '140', '140-30-632x360', 'video45_1'], 8


@pytest.fixture(scope='module')
def truth(): # every frame of five videos; the last frame of each has no labels
    r = np.random.default_rng(0)
    df = pd.DataFrame(dict(video=np.repeat(VIDEOS, N), frame=np.tile(np.arange(1, N + 1), len(VIDEOS))))
    df['valence'], df['arousal'] = r.uniform(-1, 1, (2, len(df))).round(3)
    df['expr'] = r.choice(EXPRS, len(df))
    return df.assign(**{u: r.integers(0, 2, len(df)) for u in AUS})


@pytest.fixture(scope='module')
def root(truth, tmp_path_factory):
    "s-Aff-Wild2's annotations without images, with sentinels and repeated lines."
    root = tmp_path_factory.mktemp('wild')
    lines = []
    for row in truth.itertuples():
        labels = [row.valence, row.arousal, EXPRS.index(row.expr), *(getattr(row, u) for u in AUS)]
        if row.frame == N: labels = [-5, -5, -1, *[-1] * 12]
        lines.append(','.join([f'{row.video}/{row.frame:05d}.jpg', *map(str, labels)]))
    text = '\n'.join(['image,valence,arousal,expression,aus', *lines, lines[3]]) + '\n'
    (root/'validation_set_annotations.txt').write_text(text)
    return root


def scores(done, file): # (metric, of) → its row
    assert done.returncode == 0, done.stderr
    return pd.read_csv(file).set_index(['metric', 'of'])


def test_predictions_of_this_package(truth, root, tmp_path):
    "The columns of affect predict, perfect but for their distance to the labels."
    df = truth.assign(source=[f'clips/{v}.mp4' for v in truth['video']], person=1, x=0, y=0, w=50, h=50,
                      detection_score=.9, outside=.5)
    for e in EXPRS: df[f'expr_{e}'] = np.where(truth['expr'] == e, .93, .01)
    for u in AUS: df[f'{u}_prob'] = .1 + .8*truth[u]
    other = df[:5].assign(w=10, valence=0) # smaller faces in the same frames
    pd.concat([df.drop(columns='video'), other.drop(columns='video')]).to_parquet(tmp_path/'p.parquet')
    done = affect('score', tmp_path/'p.parquet', root, '--out', tmp_path/'s.csv')
    s = scores(done, tmp_path/'s.csv')
    for metric, best in (('ccc_v', 1), ('ccc_a', 1), ('f1_expr', 1), ('f1_au', 1), ('P', 3)):
        assert s.loc[(metric, 'all'), 'score'] == pytest.approx(best, abs=1e-6)
    assert s.loc[('ccc_v', 'all'), 'frames'] == len(truth) - len(VIDEOS)
    assert s.loc[('ccc_v', 'all'), 'groups'] == len(VIDEOS)
    assert s.loc[('ece', 'EXPR'), 'score'] == pytest.approx(.07, abs=1e-6)
    assert s.loc[('ece', 'AU4'), 'score'] == pytest.approx(.1, abs=1e-6)
    assert '5 further predictions of a frame' in done.stdout and 'affect predict' in done.stdout and not done.stderr


def test_other_tools(truth, root, tmp_path, here):
    "OpenFace counts frames from 1 in a file for each video, py-feat from 0; neither knows everything."
    (tmp_path/'openface').mkdir()
    for video, df in truth.groupby('video'):
        table = pd.DataFrame({'frame': df['frame'], ' face_id': 0, ' confidence': .98,
                              ' success': (df['frame'] != 2).astype(int)})
        for u in AUS:
            if u != 'AU24': table[f' AU{int(u[2:]):02d}_c'] = df[u]
        table.to_csv(tmp_path/f'openface/{video}.csv', index=False)
    done = here('score', tmp_path/'openface', root, '--out', tmp_path/'o.csv')
    s = scores(done, tmp_path/'o.csv')
    assert s.loc[('f1_au', 'all'), 'score'] == 1 and 'AU24 not predicted' in done.stdout
    assert s.loc[('f1_au', 'all'), 'frames'] == (N - 2)*len(VIDEOS)
    feat = pd.DataFrame({'input': [f'/data/{v}.mp4' for v in truth['video']], 'frame': truth['frame'] - 1,
                         'FaceScore': .9, 'valence': truth['valence']/2})
    for e in EXPRS[:7]: feat[e.lower()] = np.where(truth['expr'] == e, .7, .05)
    feat.to_csv(tmp_path/'feat.csv')
    done = here('score', tmp_path/'feat.csv', root, '--out', tmp_path/'f.csv')
    s = scores(done, tmp_path/'f.csv')
    assert s.loc[('slope', 'valence'), 'score'] == pytest.approx(2, abs=1e-5)
    assert "Other can't be predicted" in done.stdout
    assert s.loc[('f1', 'Anger'), 'score'] > .7 and s.loc[('accuracy', 'all'), 'score'] < 1
    eff = pd.DataFrame({'image': [f'crops/{v}/{k:05d}.png' for v, k in zip(truth['video'], truth['frame'])],
                        'valence': truth['valence'], 'arousal': truth['arousal']})
    eff.to_csv(tmp_path/'eff.csv', index=False)
    assert scores(here('score', tmp_path/'eff.csv', root, '--out', tmp_path/'e.csv'),
                  tmp_path/'e.csv').loc[('ccc_a', 'all'), 'score'] == pytest.approx(1)


def test_a_table_with_attributes(truth, tmp_path, here):
    df = truth.assign(image=[f'{v}/{k}.jpg' for v, k in zip(truth['video'], truth['frame'])],
                      age=np.where(truth['video'].isin(VIDEOS[:2]), 'child', 'adult'))
    df[['image', 'valence', 'expr', 'age']].to_csv(tmp_path/'labels.csv', index=False)
    noisy = df[['image']].assign(V=df['valence'].where(df['age'] == 'adult', 0), emotion=df['expr'].str.lower())
    noisy.to_csv(tmp_path/'p.csv', index=False)
    done = here('score', tmp_path/'p.csv', tmp_path/'labels.csv', '--map', 'valence=V', '--map', 'expr=emotion', '--by',
                'age', '--out', tmp_path/'s.csv')
    s = scores(done, tmp_path/'s.csv')
    assert s.loc[('ccc_v', 'age=adult'), 'score'] == pytest.approx(1) and s.loc[('ccc_v', 'age=child'), 'score'] == 0
    assert s.loc[('f1_expr', 'age=child'), 'occurring'] == 1
    done = here('score', tmp_path/'p.csv', tmp_path/'labels.csv', '--map', 'valence=V', '--by', 'age', '--out',
                tmp_path/'s.md')
    assert '| ccc_v' in (tmp_path/'s.md').read_text() and 'age=child' in (tmp_path/'s.md').read_text()


@pytest.mark.parametrize('args, says', (
    (['none.csv', '{root}'], ['none.csv: no such file']),
    (['{root}', '{root}'], ['no table here']),
    (['{p}', 'nowhere', '--map', 'valence=V'], ["'nowhere'"]),
    (['{p}', '{p}', '--map', 'valence=V'], ["unknown column 'V': name it with --by V"]),
    (['{p}', '{root}', '--map', 'valence=X'], ["names the column 'X'"]),
    (['{p}', '{root}', '--map', 'feat'], ['no such map']),
    (['{p}', '{root}'], ['no column of predictions is recognised']),
    (['{p}', '{root}', '--map', 'valence=V', '--by', 'age'], ["no column 'age'"]),
    (['{p}', '{root}', '--map', 'valence=V', '--split', 'train'], ['the labels have val']),
    (['{p}', '{root}', '--map', 'valence=V', '--out', 'x.xlsx'], ['.csv or .md']),
    (['{other}', '{root}', '--map', 'valence=V'], ['no prediction has a label']),
))
def test_what_is_wrong(args, says, root, tmp_path, here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'p.csv').write_text('image,V\n341/00001.jpg,.5\n')
    (tmp_path/'other.csv').write_text('image,V\nsomebody.jpg,.5\n')
    args = [a.replace('{root}', str(root)).replace('{p}',
                                                   str(tmp_path/'p.csv')).replace('{other}', str(tmp_path/'other.csv'))
                                                   for a in args]
    done = here('score', *args)
    lines = [l for l in done.stderr.splitlines() if not l.startswith('note: ')]
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith('affect: '), done.stderr
    assert all(s in lines[0] for s in says), done.stderr
    assert sorted(f.name for f in tmp_path.iterdir()) == ['other.csv', 'p.csv']
