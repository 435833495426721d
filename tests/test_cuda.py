"What only a GPU can show: `pytest -m cuda` on a machine that has one."
import json, os, subprocess, sys, time
from pathlib import Path

import numpy as np, pytest, torch

from affect_nb.data.drawing import draw_face, make_identity, save_jpeg
from affect_nb.infer.analyzer import Analyzer
from affect_nb.models.affect import AffectModel
from affect_nb.models.encoder import create_encoder
from affect_nb.plugins import start_python
from affect_nb.runs.forks import Forks
from affect_nb.train.device import measure_device_batch, take_device
from affect_nb.train.learner import affect_learner
from common import ENV, ROOT
from test_compile import gradient, model
from test_ranks import TASKS, train, windows

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')]
WIDE = dict(img_size=16, patch_size=4, embed_dim=384, depth=6, num_heads=6)


def elsewhere(code, *args, gpu=True):
    "Python in a process of its own, with the GPU or without; its last line, read as JSON."
    path = os.pathsep.join([str(ROOT/'tests'), *filter(None, sys.path)])
    env = {**ENV, 'PYTHONPATH': path} | ({} if gpu else {'CUDA_VISIBLE_DEVICES': ''})
    done = subprocess.run([sys.executable, '-c', code, *map(str, args)], capture_output=True, text=True, env=env,
                          timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


TRAIN = '''import json, sys; from pathlib import Path; from test_ranks import train
log, pred, _ = train(Path(sys.argv[1])); print(json.dumps([log.to_numpy().tolist(), pred.tolist()]))'''

def test_a_training_on_the_gpu_is_the_one_on_the_cpu(tmp_path):
    log, pred, net = train(tmp_path)
    assert next(net.parameters()).is_cuda
    (tmp_path/'cpu').mkdir()
    other_log, other_pred = elsewhere(TRAIN, tmp_path/'cpu', gpu=False)
    np.testing.assert_allclose(log, np.array(other_log, float), atol=5e-3)
    np.testing.assert_allclose(pred, np.array(other_pred, float), atol=5e-3)


def learner(**size):
    "A learner whose batch of 200 images takes some memory."
    torch.manual_seed(0)
    (_, ds), (df, valid) = windows('train', 40, 0), windows('val', 12, 1)
    net = AffectModel(create_encoder({**WIDE, **size}), TASKS)
    return affect_learner(net, ds, valid, 200)


def test_the_device_batch_is_measured():
    assert measure_device_batch(learner()) is None # all of it fits
    before = torch.cuda.memory_allocated()
    learn = learner()
    try:
        need = torch.cuda.mem_get_info()[1]
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction((before + 300e6) / need)
        k = measure_device_batch(learn)
    finally: torch.cuda.set_per_process_memory_fraction(1.)
    assert k is not None and 1 <= k < 200, k


def test_bfloat16_learns_the_same(tmp_path):
    x, net = torch.randn(64, 3, 16, 16, device='cuda'), model().cuda()
    whole = gradient(net, x)
    net.zero_grad()
    with torch.autocast('cuda', torch.bfloat16): half = gradient(net, x)
    assert torch.nn.functional.cosine_similarity(whole.float(), half.float(), 0) > .99


NCCL = '''import json, os, sys, torch; from pathlib import Path
os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT='29517', RANK='0', WORLD_SIZE='1', LOCAL_RANK='0')
torch.distributed.init_process_group('nccl'); from test_ranks import train
log, pred, _ = train(Path(sys.argv[1])); print(json.dumps(pred.tolist()))'''

def test_a_process_of_nccl_is_a_process(tmp_path):
    _, pred, _ = train(tmp_path)
    (tmp_path/'nccl').mkdir()
    np.testing.assert_allclose(pred, np.array(elsewhere(NCCL, tmp_path/'nccl'), float), atol=1e-3)


def test_a_fork_uses_the_gpu(tmp_path):
    "Kernels are forks of a process that has imported fastai and timm without starting the driver."
    code = start_python(f"""import json, os, sys, torch
seen = [os.getppid(), 'timm' in sys.modules, torch.ones(3, device='cuda').sum().item()]
with open({str(tmp_path/'said.json')!r}, 'w') as f: json.dump(seen, f)""")
    forks = Forks(['timm', 'affect_nb.train.learner'], gpu=True)
    made = forks.fork(code, dict(os.environ))
    while made.poll() is None: time.sleep(.01)
    assert json.loads((tmp_path/'said.json').read_text()) == [forks.process.pid, True, 3]
    forks.close()


def test_runs_share_a_gpu(monkeypatch):
    "A share of the memory is all that a run sees when its batch is measured."
    monkeypatch.setenv('AFFECT_GPU_SHARE', '4')
    whole = torch.cuda.mem_get_info()[1]
    try:
        take_device(0)
        with pytest.raises(torch.OutOfMemoryError): torch.empty(int(whole * .3), dtype=torch.uint8, device='cuda')
        torch.empty(int(whole * .2), dtype=torch.uint8, device='cuda')
    finally:
        torch.cuda.set_per_process_memory_fraction(1.)
        torch.cuda.empty_cache()


def test_answers_are_those_of_the_cpu(tmp_path):
    for k in range(6): save_jpeg(draw_face(make_identity(k), dict(AU12=k / 5)), tmp_path/f'{k}.jpg')
    files = [tmp_path/f'{k}.jpg' for k in range(6)]
    gpu = Analyzer(aligned=True)(files)
    code = ('import sys; from affect_nb.infer.analyzer import Analyzer\n'
            'print(Analyzer(aligned=True)(sys.argv[1:]).select_dtypes("number").to_json(orient="values"))')
    cpu = np.array(elsewhere(code, *files, gpu=False), float)
    np.testing.assert_allclose(gpu.select_dtypes('number').to_numpy(float), cpu, atol=5e-3)
