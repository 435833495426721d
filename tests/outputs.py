"""The outputs of a finished demo with three seeds, put into the table notebooks of the repository:
`python tests/outputs.py runs/demo3`, which `make outputs` calls after it."""
import base64, hashlib, io, json, sys
from pathlib import Path

import nbformat
from PIL import Image
from nbdev.clean import nbdev_clean

from affect_nb.runs.profile import read_profile

PROFILE = 'demo3' # with one seed no difference is called
ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT/'nbs'/'ablations').glob('table_*.ipynb'))
STAMP = 'made_from' # in a notebook's metadata; named in pyproject.toml, so that nbdev_clean leaves it
MAX_BYTES = 300_000
TYPES = ('text/plain', 'text/html', 'image/png')


def code_cells(nb): return [c for c in nb.cells if c.cell_type == 'code']


def made_from(nb):
    "Digest of what a table notebook's outputs are made from: its code, the paper's numbers, the profile's settings."
    digest = hashlib.sha256(json.dumps(read_profile(PROFILE), sort_keys=True).encode())
    for file in sorted((ROOT/'affect_nb'/'paper').glob('*.csv')): digest.update(file.read_bytes())
    for cell in code_cells(nb): digest.update(cell.source.encode())
    return digest.hexdigest()[:16]


def is_fresh(nb):
    "Whether a notebook has outputs, and those of its own code, the paper's numbers and the profile's settings."
    return any(c.outputs for c in code_cells(nb)) and nb.metadata.get(STAMP) == made_from(nb)


def in_few_colours(png):
    "A picture (base64) with 64 colours, as a plot needs: a third of the size."
    file = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB').quantize(64).save(file, 'PNG', optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def shown(output):
    "An output with what GitHub shows of it; None for warnings and what only a running kernel can show."
    if output.output_type == 'stream': return output if output.name == 'stdout' else None
    assert output.output_type != 'error', f'the notebook stopped with {output.ename}: {output.evalue}'
    output.data = {kind: output.data[kind] for kind in TYPES if kind in output.data}
    if 'image/png' in output.data: output.data['image/png'] = in_few_colours(output.data['image/png'])
    return output if output.data else None


def put(path, executed):
    "Put the outputs of an executed copy into the notebook at `path`, cell by cell."
    nb, copy = nbformat.read(path, 4), nbformat.read(executed, 4)
    asked, cells = copy.metadata.papermill.parameters, {c.id: c for c in code_cells(copy)}
    assert (asked.profile, asked.data) == (PROFILE, ''), f'{executed} is not of {PROFILE}: run make outputs'
    for cell in code_cells(nb):
        done = cells.get(cell.id)
        same = done is not None and done.source == cell.source
        assert same, f'{executed} is not of the code of {path.name}: remove it and run make outputs again'
        cell.outputs = [o for o in map(shown, done.outputs) if o]
    nb.metadata[STAMP] = made_from(nb)
    text = nbformat.writes(nb) + '\n'
    assert len(text.encode()) < MAX_BYTES, f'{path.name} would have {len(text.encode()):,} bytes: draw smaller pictures'
    path.write_text(text, encoding='utf-8', newline='\n')
    nbdev_clean(fname=path)


if __name__ == '__main__':
    for path in NOTEBOOKS: put(path, Path(sys.argv[1])/'tables'/path.name)
