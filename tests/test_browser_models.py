"What a person sees who moves the sliders of the explorers of models; the models are made here, untrained."
import pytest
from browser import wait_for
from test_browser import write_page

pytestmark = pytest.mark.browser

TINY = dict(img_size=32, patch_size=8, embed_dim=48, depth=1, num_heads=3)


def drawn(page, explorer):
    "Which figure of an explorer is to be seen, and what it is said to show."
    image = page.find(f'.{explorer} .affect-figure[data-version] img', 60)
    return image.find_element('xpath', '..').get_attribute('data-version'), image.get_attribute('alt')


def wait_for_other(page, explorer, before, text):
    "Until another figure is to be seen that says a text."
    def changed():
        now = drawn(page, explorer)
        return now != before and text in now[1]
    wait_for(changed, 60, lambda: f'{explorer} still shows {drawn(page, explorer)}')


def test_the_mask_ratio_is_moved(server, page):
    from affect_nb.models.encoder import save_model
    from affect_nb.models.mae import MAE
    save_model(MAE(TINY, 32, 1, 1), server.home/'mae')
    write_page(server.pages, 'own_mask', "from affect_nb.explore.mask import Mask\nMask('mae')")
    page.open('own_mask')
    before = drawn(page, 'affect-mask')
    assert 'mask ratio 0.75: 12 of 16 patches' in before[1]
    page.set_slider('mask ratio', '0.50')
    wait_for_other(page, 'affect-mask', before, 'mask ratio 0.50: 8 of 16 patches')
    page.shot('half')


def test_windows_follow_s(server, page):
    from affect_nb.models.affect import AffectModel
    from affect_nb.models.encoder import create_encoder, save_model
    save_model(AffectModel(create_encoder(TINY), ['V', 'AU'], temporal='lstm'), server.home/'lstm')
    write_page(server.pages, 'own_windows', "from affect_nb.explore.windows import SlidingWindows\n"
                                            "SlidingWindows('lstm')")
    page.open('own_windows')
    before = drawn(page, 'affect-windows')
    assert 'S = 8' in before[1] and 'has not been trained' in before[1]
    page.set_slider('S', 5)
    wait_for_other(page, 'affect-windows', before, 'S = 5')
    assert page.widget('W').find_element('css selector', '.widget-readout').text == '5'
    page.choose('predicted', 'AU12')
    page.wait('AU12: mean distance')
    page.shot('five')


def test_a_pair_is_picked_and_a_stage_changed(server, page):
    write_page(server.pages, 'own_compounds', "from affect_nb.explore.compounds import Compounds\n"
                                              "Compounds(out='nowhere')")
    page.open('own_compounds')
    # the stages have a figure, too, and may be sooner
    wait_for_other(page, 'affect-compounds', None, 'make Happily Surprised')
    before = drawn(page, 'affect-compounds')
    choices = [o.text for o in page.widget('second face').find_elements('css selector', 'option')]
    page.choose('second face', next(c for c in choices if c.startswith('Disgust')))
    wait_for_other(page, 'affect-compounds', before, 'make Happily Disgusted')
    page.set_slider('stage 2: compound share', '0.50')
    page.wait("--compound-share '0 0.5 0.4 1'")
    page.press('remove the last stage')
    page.wait("--compound-share '0 0.5 0.4'")
    page.shot('three_stages')
