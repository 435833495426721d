"Submissions: files that somebody has written by hand, with every trap of the official lists, through the command."
import json, re, shutil

import numpy as np, pytest

from affect_nb.infer.challenge import challenge_names, check_submission, read_challenge
from affect_nb.labels import AUS, COMPOUNDS, EXPRS
from common import affect

# one name begins like another, persons of one clip, gaps, any order, and a repeated line
LINES = ['140/00009.jpg', '140/00001.jpg', '140/00005.jpg', '140-30-632x360/00002.jpg', 'video45_1/00001.jpg',
         '7-60-1920x1080_left/00003.jpg',
         '7-60-1920x1080_right/00003.jpg', '140/00001.jpg']
FRAMES = {'140': [1, 5], '140-30-632x360': [2], 'video45_1': [1], '7-60-1920x1080_left': [3],
          '7-60-1920x1080_right': [3, 4]} # 140/9 has no face
HEADS = dict(mtl='image,valence,arousal,expression,aus', va='image_location,valence,arousal',
             au='image_location,' + ','.join(AUS),
             expr='image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other',
             ce='image_location,Fearfully_Surprised,Happily_Surprised,Sadly_Surprised,Disgustedly_Surprised,'
                'Angrily_Surprised,Sadly_Fearful,Sadly_Angry')
FORMS = {'a comma behind each name': ('image_location\n', ',\n'), 'no header': ('', '\n'),
         'of Windows': ('\ufeffimage_location\r\n', ',\r\n'), 'with examples': ('image_location,x\n', ',0,0\n')}
MTL_LIST = 'image\n' + ''.join(f'{n},\n' for n in LINES)
# what the models below say of every picture: the number of a class, of action units, of two of the six
AT = dict(V=.25, A=-.5, EXPR=3, AU=(0, 6, 11), CE=(0, 4))


def model_of(folder, tasks, **change):
    "A saved model that says the same of every picture."
    import torch
    from affect_nb.models.affect import AffectModel
    from affect_nb.models.encoder import create_encoder, save_model
    said = AT | change
    model = AffectModel(create_encoder(dict(img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=2)), tasks)
    for t, head in model.heads.items():
        torch.nn.init.zeros_(head.weight)
        bias = torch.full_like(head.bias, -3)
        if t in 'VA': bias[:] = np.arctanh(said[t])
        else: bias[list(np.atleast_1d(said[t]))] = 3
        head.bias.data = bias
    save_model(model, folder)
    return folder


@pytest.fixture(scope='session')
def frames(tmp_path_factory):
    import cv2
    root = tmp_path_factory.mktemp('frames')
    for video, numbers in FRAMES.items():
        (root/video).mkdir()
        for k in numbers: cv2.imwrite(str(root/video/f'{k:05d}.jpg'), np.full((20, 20, 3), 40 + k, np.uint8))
    return root


@pytest.fixture(scope='session')
def model(tmp_path_factory): return model_of(tmp_path_factory.mktemp('model')/'all', ['V', 'A', 'EXPR', 'AU'])


@pytest.fixture
def submitted(here):
    "The file of a command, byte by byte, and its notes."
    def check(*args, out, expect):
        done = here('submit', *args, '--out', out)
        assert done.returncode == 0 and done.stdout.split() == [str(out)], done.stderr
        assert out.read_bytes().decode() == expect
        return done.stderr
    return check


@pytest.fixture
def refused(here):
    "One sentence, and nothing is left."
    def check(*args, says, out):
        done = here('submit', *args, '--out', out)
        lines = [l for l in done.stderr.splitlines() if not l.startswith('note: ')]
        assert done.returncode == 2 and len(lines) == 1 and all(s in lines[0] for s in says), done.stderr
        assert not list(out.parent.iterdir())
    return check


UNITS = '1,0,0,0,0,0,1,0,0,0,0,1'
BEHIND = dict(mtl=f'0.250000,-0.500000,3,{UNITS}', va='0.250000,-0.500000', expr='3', au=UNITS)
EXPECTED = {t: HEADS[t] + '\n' + ''.join(f'{n},{b}\n' for n in LINES) for t, b in BEHIND.items()}


@pytest.mark.parametrize('track', BEHIND)
def test_every_track(track, frames, model, tmp_path, submitted):
    (tmp_path/'list.txt').write_text(MTL_LIST)
    said = submitted(track, frames, '--list', tmp_path/'list.txt', '--model', model, out=tmp_path/'out.txt',
                     expect=EXPECTED[track])
    assert '1 of 7 listed frames' in said and '1 lines name a frame again' in said and 'unverified' not in said


@pytest.mark.parametrize('form', FORMS)
def test_every_form_of_a_list(form, frames, model, tmp_path):
    from affect_nb.infer.submission import submit_track
    head, end = FORMS[form]
    (tmp_path/'list.txt').write_bytes((head + ''.join(n + end for n in LINES)).encode())
    with pytest.warns(UserWarning):
        out, _ = submit_track('va', [model], frames, tmp_path/'list.txt', tmp_path/'out.txt')
    assert out.read_bytes().decode() == EXPECTED['va']


def test_unverified_and_own_templates(frames, model, tmp_path, submitted):
    (tmp_path/'list.txt').write_text(MTL_LIST)
    said = submitted('au', frames, '--list', tmp_path/'list.txt', '--model', model, '--template', 'abaw10_au',
                     out=tmp_path/'au.txt', expect=EXPECTED['au'])
    assert 'template abaw10_au is unverified' in said
    own = ('edition: 12\ntrack: va\nheader: image,v,a\ncolumns: [arousal, valence]\ndecimals: 2\nfiles: one\n'
           'frames: found\nmissing: nearest\nsource: ours\n')
    (tmp_path/'abaw12_va.yaml').write_text(own)
    submitted('va', frames, '--list', tmp_path/'list.txt', '--model', model, '--template', tmp_path/'abaw12_va.yaml',
              out=tmp_path/'va.txt',
              expect='image,v,a\n' + ''.join(f'{n},-0.50,0.25\n' for n in LINES))


def test_compounds(tmp_path, submitted, refused):
    "One video a frame short, one a frame long, one with faces missing, whose numbers follow the header of the list."
    import cv2
    ce = model_of(tmp_path/'ce', ['CE'])
    swapped = HEADS['ce'].replace('Fearfully_Surprised,Happily', 'Happily_Surprised,Fearfully')
    there = {'01': range(1, 5), '02': range(1, 4), '03': range(1, 6), '04': (1, 4)}
    for video, numbers in there.items():
        (tmp_path/'frames'/video).mkdir(parents=True)
        for k in numbers: cv2.imwrite(str(tmp_path/f'frames/{video}/{k:05d}.jpg'), np.full((20, 20, 3), 90, np.uint8))
    names = [f'{v}/{k:05d}.jpg' for v in there for k in range(1, 5)]
    (tmp_path/'list.txt').write_text(HEADS['ce'] + '\n' + ''.join(f'{n},\n' for n in names))
    (tmp_path/'swapped.txt').write_text(swapped + '\n' + ''.join(f'{n},\n' for n in names))
    name = next(c for c, parts in COMPOUNDS.items() if set(parts) == {'Surprise', 'Sadness'})
    args = ['ce', tmp_path/'frames', '--model', ce, '--faceless', '--list']
    number = list(COMPOUNDS).index(name)
    submitted(*args, tmp_path/'list.txt', out=tmp_path/'a.txt',
              expect=HEADS['ce'] + '\n' + ''.join(f'{n},{number}\n' for n in names))
    fear = model_of(tmp_path/'fear', ['CE'], CE=(0, 1))
    submitted('ce', tmp_path/'frames', '--model', fear, '--faceless', '--list', tmp_path/'swapped.txt',
              out=tmp_path/'b.txt',
              expect=swapped + '\n' + ''.join(f'{n},1\n' for n in names))
    (tmp_path/'new').mkdir()
    refused(*args[:4], '--list', tmp_path/'list.txt', out=tmp_path/'new/out.txt',
            says=['video 04: 2 frames', '--faceless'])


def test_an_ensemble_and_a_model_of_one_task(frames, model, tmp_path):
    from affect_nb.infer.submission import submit_track
    (tmp_path/'list.txt').write_text(MTL_LIST)
    other = model_of(tmp_path/'other', ['V', 'EXPR'], V=.75, EXPR=6)
    with pytest.warns(UserWarning):
        out, _ = submit_track('mtl', [model, other, f'EXPR={other}'], frames, tmp_path/'list.txt', tmp_path/'out.txt')
    assert {l.split(',', 1)[1] for l in out.read_text().splitlines()[1:]} == {f'0.500000,-0.500000,6,{UNITS}'}


def test_provenance(frames, model, tmp_path):
    (tmp_path/'list.txt').write_text(MTL_LIST)
    done = affect('submit', 'va', frames, f'--list={tmp_path}/list.txt', '--model', model, '--out', tmp_path/'out.txt')
    assert done.returncode == 0 and (tmp_path/'out.txt').read_text() == EXPECTED['va'], done.stderr
    text = (tmp_path/'out.txt.provenance.json').read_text()
    about = json.loads(text)
    assert not re.search(r'(?<![\w.])/(tmp|home|work|root|usr)\b', text) and str(tmp_path) not in text
    assert about['challenge']['name'] == 'abaw10_va' and about['models'][0]['tasks'] == ['V', 'A']
    assert about['frames'] == dict(listed=7, predicted=6)
    assert about['command'].startswith('affect submit va')
    assert all(len(s) == 64 for s in about['models'][0]['weights'].values())


WRONG = {
    'no list': ('none.txt', None, {}, ['none.txt: no such file']),
    'an empty list': ('list.txt', '', {}, ['list.txt: the file is empty']),
    'a list of nothing': ('list.txt', 'image\n', {}, ['names no frame']),
    'a list of videos': ('list.txt', 'video1\nvideo2\n', {}, ['line 1', 'the list that names every frame']),
    'a way out': ('list.txt', 'image\n../../1.jpg\n', {}, ['line 2', '../../1.jpg']),
    'binary': ('list.txt', b'\xff\xfe\x00', {}, ['not UTF-8']),
    'nobody': ('list.txt', 'image\nnobody/00001.jpg\n', {}, ["none of the 1 listed videos, such as 'nobody'"]),
    'a video that is not there': ('list.txt', MTL_LIST + 'nobody/00001.jpg\n', {}, ["no folder 'nobody'"]),
    'another numbering': ('list.txt', 'image\n' + ''.join(f'140/{k:05d}.jpg\n' for k in range(100, 120)), {},
                          ['140 has 0 of its 20 listed frames', '1 to 5', '100 to 119']),
    'half of a video': ('list.txt', 'image\n' + ''.join(f'140/{k:05d}.jpg\n' for k in range(1, 9)), {},
                        ['140 has 2 of its 8', '--faceless']),
    'faces missing from a video of compounds': ('list.txt', MTL_LIST, dict(track='ce'),
                                                ['video 140: 2 frames were extracted', '--faceless']),
    'no compounds': ('list.txt', 'image\n140-30-632x360/00002.jpg\n', dict(track='ce'), ['no model for CE']),
    'no model': ('list.txt', MTL_LIST, dict(models=[]), ['no --model is given']),
    'a model without the task': ('list.txt', MTL_LIST, dict(models=['{small}']), ['no model for AU']),
    'no template': ('list.txt', MTL_LIST, dict(template='abaw99_va'), ["no template 'abaw99_va'"]),
    'the list of another track': ('list.txt', HEADS['expr'] + '\n140/00001.jpg,\n', {},
                                  ['give the list of this challenge']),
}


@pytest.mark.parametrize('name', WRONG)
def test_what_is_wrong(name, frames, model, tmp_path):
    from affect_nb.files import InputError
    from affect_nb.infer.submission import submit_track
    file, text, how, says = WRONG[name]
    if text is not None: (tmp_path/file).write_bytes(text if isinstance(text, bytes) else text.encode())
    small = model_of(tmp_path/'small', ['V', 'A', 'EXPR'])
    models = [str(m).replace('{small}', str(small)) for m in how.get('models', [model])]
    with pytest.raises(InputError) as e:
        submit_track(how.get('track', 'au'), models, frames, tmp_path/file, tmp_path/'new/out.txt',
                     how.get('template', ''), faceless='no compounds' == name)
    assert all(s in str(e.value) for s in says), e.value
    assert '\n' not in str(e.value) and not (tmp_path/'new').exists()


def test_a_corrupt_frame_is_one_sentence(frames, model, tmp_path, refused):
    root = shutil.copytree(frames, tmp_path/'frames')
    (root/'140/00005.jpg').write_bytes((root/'140/00005.jpg').read_bytes()[:-60])
    (tmp_path/'list.txt').write_text(MTL_LIST)
    (tmp_path/'new').mkdir()
    refused('va', root, '--list', tmp_path/'list.txt', '--model', model, out=tmp_path/'new/out.txt',
            says=['140/00005.jpg', 'cut short'])


@pytest.mark.parametrize('name', challenge_names())
def test_templates(name):
    c = read_challenge(name)
    assert c.header == HEADS[c.track] and c.name == f'abaw{c.edition}_{c.track}' and c.files == 'one'
    assert bool(c.source) == (name not in ('abaw10_au', 'abaw10_expr'))


def test_a_changed_file_is_found(frames, model, tmp_path):
    from affect_nb.files import InputError
    (tmp_path/'list.txt').write_text(MTL_LIST)
    for change in (lambda t: t[:-1] + '0\n', lambda t: t.replace('0.25', '2.25'),
                   lambda t: t.replace('/00005', '/00006'), lambda t: t.rsplit('\n', 2)[0] + '\n',
                   lambda t: t.replace(',3,', ',9,')):
        (tmp_path/'out.txt').write_text(change(EXPECTED['mtl']))
        with pytest.raises(InputError): check_submission(tmp_path/'out.txt', read_challenge('mtl'), tmp_path/'list.txt')
