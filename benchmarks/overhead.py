"""What one papermill run takes beyond its training: the smallest `mtl` run, after what it starts from, and where the
seconds go."""
import json, subprocess, sys, tempfile, time
from datetime import datetime
from pathlib import Path
from statistics import median

from affect_nb.runs.record import run_folder
from affect_nb.sweep.sweep import Sweep

PARTS = {'import torch': 'import torch', 'import fastai.learner': 'import fastai.learner',
         'import what a run imports': 'import affect_nb.runs.run, affect_nb.train.learner',
         'import papermill': 'import papermill', 'import ipykernel': 'import ipykernel.ipkernel'}

def seconds(code):
    "Wall time of a new Python that runs `code`."
    t = time.perf_counter()
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)
    return time.perf_counter() - t

def cells(folder):
    "From papermill's own times: until the first cell, in each code cell, from the last cell to the end of the kernel."
    nb = json.loads((folder/'run.ipynb').read_text(encoding='utf-8'))
    def at(x): return datetime.fromisoformat(x).timestamp()
    whole, done = nb['metadata']['papermill'], [c for c in nb['cells'] if c['cell_type'] == 'code']
    out = {'start of the kernel': at(done[0]['metadata']['papermill']['start_time']) - at(whole['start_time'])}
    for c in done[2:]:
        out[f"cell: {''.join(c['source']).strip().splitlines()[-1][:48]}"] = c['metadata']['papermill']['duration']
    out['end of the kernel'] = at(whole['end_time']) - at(done[-1]['metadata']['papermill']['end_time'])
    return out

def main(rounds=3):
    with tempfile.TemporaryDirectory() as out:
        sweep = Sweep('smoke', out=out)
        sweep.run('mtl', tasks='EXPR', seq_len=4) # stores the features
        request = sweep.request('mtl', tasks='EXPR', seq_len=5)
        record = request.make(out)
        print('record: ' + ', '.join(f'{k} {v:.1f} s' for k, v in record['seconds'].items()))
        for name, s in cells(run_folder(out, request)).items(): print(f'  {s:5.1f} s  {name}')
    found = {name: [] for name in PARTS}
    for _ in range(rounds):
        for name, code in PARTS.items(): found[name].append(seconds(code))
    print(f'each in a new Python, median of {rounds}:')
    for name, v in found.items(): print(f'  {median(v):5.1f} s  {name}')

if __name__ == '__main__': main()
