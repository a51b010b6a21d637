"""Cases of optimizer steps, computed by torch.optim."""
import torch

from book import golden


def stepped(optimizer_class, w, g, state, **settings):
    """One step from a given state; the new variable and the optimizer's new state."""
    parameter = torch.nn.Parameter(w.clone())
    parameter.grad = g.clone()
    optimizer = optimizer_class([parameter], foreach=False, **settings)
    optimizer.state[parameter].update(state)
    optimizer.step()
    return parameter.detach(), optimizer.state[parameter]


@golden("sgd_update")
def sgd_update(g):
    for name, shape, rate in (("vector", (7,), 0.1), ("matrix", (2, 3), 2.5), ("scalar", (), 1e-3)):
        step = lambda w, grad: stepped(torch.optim.SGD, w, grad, {}, lr=rate)[0]
        g.case(name, [g.real(*shape), g.real(*shape)], step, {}, [rate])
    rate = 0.375  # exact in f32
    g.case("f32", [g.real(5, dtype="f32"), g.real(5, dtype="f32")],
           lambda w, grad: stepped(torch.optim.SGD, w, grad, {}, lr=rate)[0], {}, [rate])


@golden("momentum_update")
def momentum_update(g):
    def step(nesterov):
        def apply(w, v, grad):
            new, state = stepped(torch.optim.SGD, w, grad, {"momentum_buffer": v.clone()}, lr=0.05, momentum=0.9,
                                 nesterov=nesterov)
            return new, state["momentum_buffer"]
        return apply
    for shape in ((7,), (2, 3)):
        inputs = [g.real(*shape), g.real(*shape), g.real(*shape)]
        # w' = w - rate (blend v' + direct g)
        g.case(f"plain_rank{len(shape)}", inputs, step(False), {}, [0.05, 0.9, 1.0, 0.0], ["f64", "f64"])
        g.case(f"nesterov_rank{len(shape)}", inputs, step(True), {}, [0.05, 0.9, 0.9, 1.0], ["f64", "f64"])


@golden("adam_update")
def adam_update(g):
    rate, b1, b2, epsilon = 0.01, 0.9, 0.999, 1e-8

    def step(count, decay):
        def apply(w, m, u, grad):
            before = {"step": torch.tensor(float(count - 1)), "exp_avg": m.clone(), "exp_avg_sq": u.clone()}
            new, state = stepped(torch.optim.AdamW, w, grad, before, lr=rate, betas=(b1, b2), eps=epsilon,
                                 weight_decay=decay)
            return new, state["exp_avg"], state["exp_avg_sq"]
        return apply
    for count, decay in ((1, 0.0), (2, 0.0), (50, 0.04)):
        corrections = [1 / (1 - b1**count), 1 / (1 - b2**count)]
        inputs = [g.real(2, 3), g.real(2, 3), g.real(2, 3, low=0.1, high=2), g.real(2, 3)]
        if count == 1:
            inputs[1].values[:], inputs[2].values[:] = 0, 0
        g.case(f"step{count}", inputs, step(count, decay), {}, [rate, b1, b2, 1 - b1, 1 - b2, *corrections, epsilon, decay], ["f64"] * 3)
