"""The forecast of a whole profile on the official sizes, for a named GPU: hours, memory, and how long the forecast
takes."""
import sys, time

from official import official_project

from affect_nb.sweep.sweep import Sweep

def main(profile='paper', gpu='a100', encoder='random:vit_base_patch16_224'):
    project, began = official_project(), time.time()
    sweep = Sweep(profile=profile, data='official', out='runs/official', encoder=encoder)
    sweep.projects['official'] = project
    found = sweep.forecast(gpu=gpu, say=lambda line: None)
    print(found)
    print(f'{time.time() - began:.1f} s for the forecast')

if __name__ == '__main__': main(*sys.argv[1:])
