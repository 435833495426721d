"""What a saved model says of itself is believed as far as its weights bear it out: attacks on each number and name,
before memory is taken."""
import json, subprocess, sys

import pytest

from common import ENV

ODD = [10**9, 8192, -1, float('nan'), [10**9] * 9]
NAMES = ['9' * 400, '~nobody/x', *(f'affect_nb.models.{name}'
                                   for name in ('mae:MAE', 'affect:AffectModel', 'temporal:TemporalConvolution',
                                                'mae:torch', 'none:X'))] # the package's own are allowed
CODE = '''import copy, json, resource, sys, time
from pathlib import Path
from affect_nb.files import InputError
from affect_nb.models.affect import AffectModel, load_model
from affect_nb.models.encoder import create_encoder, save_model
from affect_nb.models.fusion import FeatureFusion
from affect_nb.models.mae import MAE, load_mae
root, (odd, names) = Path(sys.argv[1]), json.load(sys.stdin)
tiny = dict(img_size=32, patch_size=16, embed_dim=16, depth=1, num_heads=2)
save_model(MAE(tiny, decoder_dim=16, decoder_depth=1, decoder_heads=2), root/'mae')
fusion = FeatureFusion(16, widths=[8, 12], audio=4)
save_model(AffectModel(create_encoder(tiny, 32), ['V', 'EXPR'], fusion=fusion, temporal='bilstm'), root/'affect')
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

def leaves(x, path=()):
    yield path
    inside = x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, list) else ()
    for k, v in inside: yield from leaves(v, (*path, k))

def read(reader, folder, config):
    "What became of a configuration."
    (folder/'config.json').write_text(json.dumps(config))
    before, began, said = peak(), time.process_time(), 'read'
    try: reader(folder)
    except InputError as e: said = 'refused'; assert str(e).isprintable() and len(str(e)) <= 500
    mb, seconds = peak() - before, time.process_time() - began
    assert mb < 500 and seconds < 2, (config, mb, seconds)
    return said

counts = dict(read=0, refused=0)
for reader, part, name in ((load_model, 'backbone', 'affect'), (create_encoder, 'backbone', 'affect'),
                           (load_mae, 'encoder', 'mae'), (create_encoder, 'encoder', 'mae')):
    good = json.loads((root/name/'config.json').read_text())
    assert read(reader, root/name, good) == 'read'
    def changed(path, value):
        config = at = copy.deepcopy(good)
        for k in path[:-1]: at = at[k]
        at[path[-1]] = value
        counts[read(reader, root/name, config)] += 1
    for path in filter(None, leaves(good)):
        if {'extra', 'labels', 'mean', 'std', 'kind'} & {*path}: continue # no sizes
        if reader is create_encoder and part not in path: continue # it reads no more
        for value in odd: changed(path, value)
        if path[-1] in ('encoder', 'fusion', 'temporal'): [changed(path, value) for value in names]
    for size in (dict(embed_dim=2048, depth=48, num_heads=32, patch_size=1, img_size=64),
                 dict(embed_dim=1024, depth=24, num_heads=16)):
        config = copy.deepcopy(good); config[part]['encoder'] |= size
        assert read(reader, root/name, config) == 'refused'
    (root/name/'config.json').write_text(json.dumps(good))
print(json.dumps(counts))'''


@pytest.mark.skipif(sys.platform != 'linux', reason='memory is counted otherwise')
def test_every_number_and_name_of_a_configuration(tmp_path):
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', CODE, str(tmp_path)], input=json.dumps([ODD, NAMES]),
                          env=ENV, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told['refused'] > 120, told
