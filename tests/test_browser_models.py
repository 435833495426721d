"What a person sees who moves the sliders of the explorers of models."
import pytest

pytestmark = pytest.mark.browser


def drawn(page, explorer):
    "Which figure of an explorer is to be seen, and what it is said to show."
    image = page.find(f'.{explorer} .affect-figure[data-version] img')
    return image.find_element('xpath', '..').get_attribute('data-version'), image.get_attribute('alt')


def wait_for_other(page, explorer, before, text):
    page.wait(text)
    for _ in range(100):
        if (now := drawn(page, explorer)) != before and text in now[1]: return now
    raise AssertionError(f'the picture of {explorer} has not changed: {now}')


def test_the_mask_ratio_is_moved(page):
    page.open('mask')
    before = drawn(page, 'affect-mask')
    assert 'mask ratio 0.75' in before[1]
    page.set_slider('mask ratio', '0.50')
    wait_for_other(page, 'affect-mask', before, 'mask ratio 0.50')
    page.shot('half')


def test_windows_follow_s(page):
    page.open('windows')
    before = drawn(page, 'affect-windows')
    page.set_slider('S', 5)
    wait_for_other(page, 'affect-windows', before, 'S = 5')
    assert page.widget('W').find_element('css selector', '.widget-readout').text in ('1', '2', '3', '4', '5')
    page.shot('five')


def test_a_pair_is_picked_and_a_stage_changed(page):
    page.open('compounds')
    before = drawn(page, 'affect-compounds')
    assert 'make Happily Surprised' in before[1]
    choices = [o.text for o in page.widget('second face').find_elements('css selector', 'option')]
    page.choose('second face', next(c for c in choices if c.startswith('Disgust')))
    wait_for_other(page, 'affect-compounds', before, 'make Happily Disgusted')
    page.set_slider('stage 2: compound share', '0.50')
    page.wait("--compound-share '0 0.5 0.4 1'")
    page.press('remove the last stage')
    page.wait("--compound-share '0 0.5 0.4'")
    page.shot('three_stages')
