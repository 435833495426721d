"Metadata and dependencies come from settings.ini; pyproject.toml names what is taken from here."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_namespace_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
lines = lambda key: cfg[key].split('\n')
scripts = lines('console_scripts')
if not (here/'PKG-INFO').exists(): scripts += lines('checkout_scripts') # who has the notebooks also exports them

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], license=cfg['license'],
    author=cfg['author'], keywords=cfg['keywords'].split(),
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    python_requires=f">={cfg['min_python']},<{cfg['max_python']}",
    install_requires=lines('requirements'),
    extras_require=dict(onnx=lines('onnx_requirements'), dev=lines('onnx_requirements') + lines('dev_requirements')),
    entry_points=dict(console_scripts=scripts, nbdev=['affect_nb=affect_nb._modidx:d']),
    packages=find_namespace_packages(include=['affect_nb*'], exclude=['*__pycache__*'])
             + [f'affect_nb.ablations{part}' for part in ('', '.runs', '.profiles')] + ['affect_nb.explorers'],
    package_dir={'affect_nb.ablations': 'nbs/ablations', 'affect_nb.explorers': 'nbs/explore'},
    package_data={'': ['*.csv', '*.onnx', 'LICENSE', '*.md', '*.ipynb', '*.json', '*.safetensors', '*.yaml', '*.j2',
                       '*.css', '*.js']},
)
