"What is stored is checked: no flipped bit, cut or exchanged file of a run or of features goes unnoticed."
import os, random, shutil
from types import SimpleNamespace

import numpy as np, pandas as pd, pytest, torch
from safetensors.torch import save_file

from affect_nb.data.features import INDEX, _write_digests, open_features
from affect_nb.files import InputError
from affect_nb.frames import make_frames
from affect_nb.runs.record import finished, read_record, verify, write_record
from affect_nb.runs.request import Request, _clear_if_stale

RNG = random.Random(0)


def run(folder, seed):
    "A folder as a run leaves it."
    folder.mkdir()
    rng = np.random.default_rng(seed)
    pd.DataFrame(dict(V=rng.normal(size=200))).to_parquet(folder/'predictions.parquet')
    save_file(dict(w=torch.tensor(rng.normal(size=(50, 20)))), folder/'model.safetensors')
    (folder/'log.csv').write_text('epoch,loss\n0,.5\n')
    write_record(folder, dict(digest=f'{seed:064d}', kind='mtl', name=folder.name,
                              metrics=dict(V=dict(metric='ccc', ours=dict(score=1e-5, lo=.25)))))
    return folder


def store(folder, seed):
    "Stored features."
    folder.mkdir()
    df = make_frames(pd.DataFrame(dict(image=[f'v/{i}.jpg' for i in range(500)], video='v', frame=range(500))))
    np.save(folder/'features.npy', np.random.default_rng(seed).normal(size=(500, 16)).astype(np.float32))
    index = df[INDEX].to_parquet()
    (folder/'index.parquet').write_bytes(index); _write_digests(folder, index)
    return df


def whole(folder):
    record = read_record(folder)
    return verify(folder, record)


def noticed(file, change, check):
    "Whether a changed file is refused; it is put back."
    good = file.read_bytes()
    file.write_bytes(change(bytearray(good)))
    try: check()
    except InputError: return True
    finally:
        file.write_bytes(good); os.utime(file, ns=(RNG.randrange(1 << 60),) * 2)
    return False


def flip(data):
    data[RNG.randrange(len(data))] ^= 1 << RNG.randrange(8)
    return data


def test_flipped_bits(tmp_path):
    folder, df = run(tmp_path/'a', 1), store(tmp_path/'s', 1)
    files = [(folder/n, lambda: whole(folder)) for n in ('record.json', 'predictions.parquet', 'model.safetensors',
                                                         'log.csv')]
    files += [(tmp_path/'s'/n, lambda: open_features(tmp_path/'s', df))
              for n in ('features.npy', 'index.parquet', 'blocks.json')]
    silent = [file.name for file, check in files for _ in range(45) if not noticed(file, flip, check)]
    assert not silent and len(files) * 45 > 300, silent
    for _, check in files: check()


@pytest.mark.parametrize('name', ['record.json', 'predictions.parquet', 'model.safetensors', 'log.csv'])
def test_cut_short_or_of_another_run(tmp_path, name):
    a, b = run(tmp_path/'a', 1), run(tmp_path/'b', 2)
    for part in (0, .3, .99): assert noticed(a/name, lambda data: data[:int(len(data) * part)], lambda: whole(a))
    if name != 'record.json': (a/name).unlink()
    if name not in ('record.json', 'log.csv'): shutil.copy(b/name, a/name)
    if name == 'record.json': shutil.copy(b/name, a/name)
    with pytest.raises(InputError): whole(a)


def test_a_record_that_is_none(tmp_path):
    folder = run(tmp_path/'a', 1)
    for text in ('', '[]', 'null', '{}', '{"format": 4}', '{"format": 4, "seal": ""}', '9' * 9_000, '[' * 9_000):
        (folder/'record.json').write_text(text)
        with pytest.raises(InputError): read_record(folder)
    (folder/'record.json').unlink(); write_record(folder, dict(digest=3, metrics=[]))
    with pytest.raises(InputError): read_record(folder)


@pytest.mark.skipif(os.name == 'nt', reason='links of POSIX')
def test_a_linked_folder_of_a_run(tmp_path):
    "Nothing is written, and nothing removed, where a link in a copied folder leads."
    mine = tmp_path/'mine'
    mine.mkdir(), (mine/'record.json').write_text('{}'), (tmp_path/'out'/'runs').mkdir(parents=True)
    (tmp_path/'out'/'runs'/'V-0').symlink_to(mine)
    with pytest.raises(InputError, match='V-0 is a link'), pytest.warns(UserWarning, match='the run is made again'):
        Request.make(SimpleNamespace(name='V-0', digest='0' * 64, kind='mtl'), tmp_path/'out')
    assert [f.name for f in mine.iterdir()] == ['record.json']
    folder = run(tmp_path/'a', 1)
    (folder/'inner').symlink_to(mine), (folder/'.code').write_text('')
    _clear_if_stale(folder, SimpleNamespace(kind='mtl'), 'never')
    assert (mine/'record.json').exists() and [f.name for f in folder.iterdir()] == ['.code']


def test_a_record_of_another_run_is_named(tmp_path):
    (tmp_path/'runs').mkdir()
    run(tmp_path/'runs'/'a', 1)
    with pytest.warns(UserWarning, match='record.json is of another run: the run is made again'):
        assert finished(tmp_path, SimpleNamespace(name='a', digest=f'{2:064d}', kind='mtl')) is None
