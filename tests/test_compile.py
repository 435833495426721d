"`torch.compile` and channels last: the same numbers, the same names."
import pytest, torch

from affect_nb.files import InputError
from affect_nb.models.affect import AffectModel, compile_backbone, create_model
from affect_nb.models.encoder import create_encoder, load_strict, read_checkpoint, read_config, save_model

SIZE = dict(img_size=16, patch_size=8, embed_dim=24, depth=2, num_heads=2)


def model():
    torch.manual_seed(0)
    return AffectModel(create_encoder(SIZE), ['V', 'AU'])


def gradient(m, images):
    "Predictions and gradient of a step."
    out = m(images)
    sum(p.square().mean() for p in out.values()).backward()
    return torch.cat([*(p.detach().flatten() for p in out.values()), *(p.grad.flatten() for p in m.parameters())])


@pytest.mark.slow
def test_a_compiled_backbone_is_the_backbone(tmp_path):
    images = torch.randn(5, 3, 16, 16)
    plain, made = model(), model()
    try: compile_backbone(made)
    except InputError as e: pytest.skip(str(e))
    torch.testing.assert_close(gradient(made, images), gradient(plain, images), atol=1e-5, rtol=1e-5)
    made.device_batch = 2
    for m in (made, plain): m.zero_grad()
    again = gradient(plain, images)
    torch.testing.assert_close(gradient(made, images), again, atol=1e-5, rtol=1e-5)
    save_model(made, tmp_path)
    state = read_checkpoint(tmp_path)
    assert state.keys() == plain.state_dict().keys() and not any("_orig_mod" in k for k in state)
    load_strict(create_model(read_config(tmp_path, 'AffectModel')), state, tmp_path)


def test_what_cant_be_compiled_is_one_sentence(monkeypatch):
    def fails(f):
        def call(*args): raise RuntimeError('Failed to find C++ compiler.\nand more')
        return call
    monkeypatch.setattr(torch, 'compile', fails)
    with pytest.raises(InputError, match=r"torch.compile can't be used here \(Failed to find C\+\+ compiler.\): set "
                                         r"compile to false$"):
        compile_backbone(model())
