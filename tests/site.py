"""The documentation from the notebooks, a hook of mkdocs: a page for each notebook, a page of signatures for each
module."""
import ast, base64, os, re
from functools import cache
from pathlib import Path

import nbformat
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
NBS, PACKAGE = ROOT/'nbs', ROOT/'affect_nb'
FLOORS = dict(data='Data', models='Models', train='Training', runs='Runs', tables='Tables', sweep='Sweeps',
              report='Report', infer='Answers', explore='Explorers')
SOURCE = 'https://github.com/affect-nb/affect_nb/blob/main'
PLAIN = re.compile(r'\x1b\[[0-9;]*m')


def notebooks():
    "Those that git would have, by where they lie below `nbs`."
    found = (f for f in NBS.rglob('*.ipynb') if not any(p.startswith(('.', '_')) for p in f.relative_to(NBS).parts))
    return {f.relative_to(NBS).as_posix().removesuffix('.ipynb'): f for f in sorted(found)}


@cache
def read(file): return nbformat.read(file, 4)


def picture(page, output, data, alt, made):
    "A picture as a file of its own."
    name = f'{page}_files/{len(made)}.png'
    made[name] = base64.b64decode(data)
    words = output.metadata.get('image/png', {}).get('alt') or alt
    return f'![{" ".join(words.split())}]({os.path.relpath(name, Path(page).parent)})'


def shown(page, output, alt, made):
    "An output as Markdown."
    data = output.get('data', {})
    if 'image/png' in data: return picture(page, output, data['image/png'], alt, made)
    if 'text/html' in data:
        # into the report, which is not here
        html = re.sub(r'<a [^>]*href="#[^>]*>(.*?)</a>', r'\1', data['text/html'], flags=re.S)
        html = re.sub(r'(href="[^":]+)\.ipynb"', r'\1.html"', html)
        return f'<div class="output">\n{html.strip()}\n</div>'.replace('\n\n', '\n')
    if 'text/markdown' in data: return data['text/markdown']
    if any('widget' in kind for kind in data): return ''
    text = PLAIN.sub('', output.get('text') or data.get('text/plain') or '').rstrip()
    return f'```text\n{text}\n```' if text else ''


@cache
def page_of(page, file):
    "A notebook as Markdown, and its pictures by name."
    nb, parts, made, alt = read(file), [], {}, page
    for cell in nb.cells:
        if cell.cell_type == 'markdown':
            alt = (re.findall(r'^#+ (.+)', cell.source, re.M) or [alt])[-1]
            parts.append(linked(cell.source, page))
        elif cell.cell_type == 'code' and not re.match(r'#\|\s*(hide|default_exp)\b', cell.source):
            code = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M).strip()
            if code: parts.append(f'```python\n{code}\n```')
            parts += [shown(page, o, alt, made) for o in cell.outputs]
    module = module_of(file)
    if module:
        signatures = os.path.relpath(f'api/{module}.md', Path(page).parent)
        parts.append(f'[All signatures of `affect_nb.{module}`]({signatures})')
    return '\n\n'.join(filter(None, parts)) + '\n', made


def linked(text, page):
    "Links to notebooks lead to their pages, links to other files of the repository to where it is kept."
    def one(m):
        target, anchor = m[2].partition('#')[::2]
        if not target or '://' in target or target.startswith('mailto:'): return m[0]
        path = Path(os.path.normpath(NBS/Path(page).parent/target))
        if not path.is_relative_to(NBS): return f'{m[1]}{SOURCE}/{path.relative_to(ROOT).as_posix()}{m[3]}'
        target = target.removesuffix('.ipynb') + '.md' if target.endswith('.ipynb') else target
        return f"{m[1]}{target}{'#' * bool(anchor)}{anchor}{m[3]}"
    return re.sub(r'(\]\()([^)\s]+)(\))', one, text)


def module_of(file):
    "The module that a notebook is exported to; None: it is exported to none."
    found = re.search(r'^#\|\s*default_exp\s+(\S+)',
                      '\n'.join(c.source for c in read(file).cells if c.cell_type == 'code'), re.M)
    return found and found[1]


def signatures(module):
    "The public classes and functions of a module: what stands in front of their bodies."
    source = (PACKAGE/f"{module.replace('.', '/')}.py").read_text(encoding='utf-8')
    lines, tree = source.splitlines(), ast.parse(source)
    about = (ast.get_docstring(tree) or module).splitlines()[0]
    text = [f'# affect_nb.{module}\n\n{about}\n']
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith('_'): continue
        text.append(f'## {node.name}\n\n```python\n' + '\n'.join(head(node, lines)) + '\n```\n')
    return '\n'.join(text)


def head(node, lines):
    "Decorators, name, parameters with their comments, and the docstring; of a class also those of its constructor."
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    body = node.body[0]
    has_text = isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant)
    found = lines[first - 1:body.end_lineno if has_text else max(node.lineno, body.lineno - 1)]
    for inner in node.body if isinstance(node, ast.ClassDef) else []:
        if isinstance(inner, ast.FunctionDef) and inner.name == '__init__': found += head(inner, lines)
    return found


def on_config(config):
    "The notebooks of the modules, floor by floor, and the signatures."
    every = notebooks()
    explorers = [f'{p}.md' for p in every if p.startswith('explore/') and p.count('/') == 1]
    floors = [{name: [f'{p}.md' for p in every if p.startswith(f'{folder}/') and f'{p}.md' not in explorers]}
              for folder, name in FLOORS.items()]
    ground = [f'{p}.md' for p in ('labels', 'files', 'frames', 'plugins', 'cli')]
    modules = sorted(filter(None, (module_of(f) for f in every.values())))
    config.nav += [{'Explorers': explorers}, {'Notebooks': [{'Vocabulary': ground}, *floors]},
                   {'Signatures': [f'api/{m}.md' for m in modules]}]
    return config


def on_files(files, config):
    "The pages, in place of the notebooks."
    # pictures, and the theme's own
    kept = Files([f for f in files if f.src_uri.startswith('images/') or Path(f.src_dir) != NBS])
    for page, file in notebooks().items():
        text, made = page_of(page, file)
        kept.append(File.generated(config, f'{page}.md', content=text))
        for name, data in made.items(): kept.append(File.generated(config, name, content=data))
        module = module_of(file)
        if module: kept.append(File.generated(config, f'api/{module}.md', content=signatures(module)))
    return kept


def on_post_build(config):
    "The Markdown of each page beside it: where the docstrings of the modules lead."
    for page, file in notebooks().items():
        (Path(config.site_dir)/f'{page}.html.md').write_text(page_of(page, file)[0], encoding='utf-8')
