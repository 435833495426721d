"""What a person sees and does in the explorer of faces: a class is picked, a point and a frame are chosen, a label is
corrected."""
import nbformat, pytest

pytestmark = pytest.mark.browser
KEYS = dict(left='\ue012', up='\ue013', right='\ue014', home='\ue011', end='\ue010', space=' ')


@pytest.fixture(scope='module')
def few(server):
    "The explorer on a few drawn faces, as a page of its own."
    from affect_nb.data.synthetic import write_aff_wild2
    root = write_aff_wild2(server.home/'drawn', train=2, val=1, held_out=1, videos=1)
    nb = nbformat.read(server.pages/'faces.ipynb', 4)
    place = next(c for c in nb.cells if c.source == "data = ''")
    place.source = f"data = {str(root)!r}"
    nbformat.write(nb, server.pages/'few_faces.ipynb')
    return 'few_faces'


def number_of(text): return int(text.split(' of ')[0].replace(',', ''))
def attribute(page, css, name): return page.find(css).get_attribute(name)


def test_faces_are_filtered_chosen_and_corrected(page, server, few):
    from browser import wait_for
    from affect_nb.data.corrections import read_corrections
    page.open(few)
    status = page.find('.affect-status')
    everything = number_of(status.text)
    wait_for(lambda: all(i.get_property('naturalWidth')
                         for i in page.driver.find_elements('css selector', '.affect-gallery img')))
    assert len(page.driver.find_elements('css selector', '.affect-face')) == 20
    page.choose('class', 'Happiness')
    wait_for(lambda: number_of(page.find('.affect-status').text) < everything)
    wait_for(lambda: all('Happiness' in b.text for b in page.driver.find_elements('css selector', '.affect-face')))
    page.shot('happiness')

    page.press('Plane')
    canvas = page.find('.affect-plane-canvas')
    assert 'points' in canvas.get_attribute('aria-label')
    canvas.send_keys(KEYS['home'])
    first = page.wait('chosen:') and page.find('.affect-chosen').text
    canvas.send_keys(KEYS['right'])
    wait_for(lambda: page.find('.affect-chosen').text != first)
    wait_for(lambda: page.find('.affect-plane img').get_property('naturalWidth'))
    assert 'Happiness' in attribute(page, '.affect-plane-canvas', 'aria-valuetext')
    page.shot('plane')

    page.press('Counts')
    wait_for(lambda: 'most frequent expression is Happiness' in page.driver.page_source)
    page.shot('counts')

    page.press('Video')
    wait_for(lambda: page.find('.affect-scrub .affect-frame').get_property('naturalWidth'))
    page.find('.affect-range').send_keys(KEYS['home'], KEYS['right'], KEYS['right'])
    wait_for(lambda: page.find('.affect-place').text.startswith('3 of '))
    wait_for(lambda: attribute(page, '.affect-scrub', 'data-shown') == '2')
    page.driver.execute_script("arguments[0].scrollIntoView()", page.find('.affect-timeline'))
    from selenium.webdriver import ActionChains
    ActionChains(page.driver).move_to_element_with_offset(page.find('.affect-timeline'), 200, 0).click().perform()
    wait_for(lambda: not page.find('.affect-place').text.startswith('3 of '))
    page.find('.affect-range').send_keys(KEYS['home'])
    wait_for(lambda: page.find('.affect-place').text.startswith('1 of '))
    page.press('▶ play')
    wait_for(lambda: int(attribute(page, '.affect-scrub', 'data-shown') or 0) >= 3)
    page.press('❚❚ pause')
    page.shot('video')

    page.choose('label', 'valence')
    page.type('new', '-0.875')
    page.type('by', 'Ada')
    page.press('Correct')
    page.wait('→ -0.875')
    assert 'V -0.88' in page.find('.affect-chosen').text
    page.type('new', '7')
    page.press('Correct')
    page.wait('must be empty or from -1 to 1')
    page.press('Export')
    page.wait('corrections written to drawn_corrections.csv: 1')
    page.shot('corrected')
    row = read_corrections(server.home/'drawn_corrections.csv').rows.iloc[0]
    assert (row['label'], row['new'], row['who']) == ('valence', '-0.875', 'Ada')
    page.press('Undo')
    page.wait('is taken back')


def test_faces_on_a_phone(page, few):
    page.size(390, 844)
    page.open(few)
    page.wait('frames in')
    assert page.driver.execute_script('return document.documentElement.scrollWidth') <= 400
