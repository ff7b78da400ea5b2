"""The part of op_goldens.py that goes along a sequence: RNN, GRU, LSTM. An image is a sequence of rows: [N,C,H,W] as [T,N,I] with T = H and I = C * W."""

import numpy as np
import torch
from op_case import N, case, ints, refuse, t, weights

T, I, STATES = 5, 18, 4


def sequence(net):
    return net("Reshape", net("Transpose", "x", perm=[2, 0, 1, 3]), ints(T, N, I))


def sequence_of(x):
    return x.permute(2, 0, 1, 3).reshape(T, N, I)


def layer(gates, directions, scale=0.5):
    """W, R, B of an ONNX layer, the gates in ONNX's order."""
    return weights(directions, gates * STATES, I, scale=scale / 2), weights(directions, gates * STATES, STATES, scale=scale), weights(directions, 2 * gates * STATES, scale=scale)


def cell_of(kind, w, r, b, reset_last=True, activations=None):
    """One step of ONNX's formulas, of one direction, in torch: (x [N, I], states) -> states."""
    w, r, b = t(w), t(r), t(b)
    rows = w.shape[0]
    wb, rb = b[:rows], b[rows:]
    f, g, last = [getattr(torch, name.lower()) for name in activations or ["Sigmoid", "Tanh", "Tanh"]][:3] + [None] * (3 - len(activations or [1, 1, 1]))

    def rnn(x, h):
        return (f(x @ w.T + wb + h @ r.T + rb),)

    def gru(x, h):
        (xz, xr, xn), (hz, hr, hn) = (x @ w.T + wb).chunk(3, 1), (h @ r.T + rb).chunk(3, 1)
        z, reset = f(xz + hz), f(xr + hr)
        n = g(xn + reset * hn) if reset_last else g(xn + (reset * h) @ r[2 * STATES :].T + rb[2 * STATES :])
        return ((1 - z) * n + z * h,)

    def lstm(x, h, c):
        i, o, forget, n = (x @ w.T + wb + h @ r.T + rb).chunk(4, 1)
        c = f(forget) * c + f(i) * g(n)
        return f(o) * last(c), c

    return {"RNN": rnn, "GRU": gru, "LSTM": lstm}[kind]


def unrolled(x, cell, states, backwards):
    """h of all steps [T, N, STATES], and the last states."""
    outputs = [None] * T
    for step in reversed(range(T)) if backwards else range(T):
        states = cell(x[step], *states)
        outputs[step] = states[0]
    return torch.stack(outputs), states


def recurrent(name, kind, direction="forward", output=0, bias=True, initial=None, layout=0, activations=None, reset_last=False, opset=14, computed=False, lengths=False):
    """The output'th of the operator's; its batch is brought to the front. Initial states are constants or, `computed`, made of the image."""
    gates, directions, states = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind], 2 if direction == "bidirectional" else 1, 2 if kind == "LSTM" else 1
    w, r, b = layer(gates, directions)
    b = b if bias else np.zeros_like(b)
    starts = [weights(directions, N, STATES) for _ in range(states)] if initial else None
    plane = weights(I * T, directions * STATES, scale=0.05)
    attributes = {"direction": direction, "hidden_size": STATES} | ({"layout": 1} if layout else {})
    if activations:
        attributes["activations"] = activations * directions
    if kind == "GRU" and reset_last:
        attributes["linear_before_reset"] = 1
    defaults = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[kind]

    def build(net):
        x = sequence(net)
        if layout:
            x = net("Transpose", x, perm=[1, 0, 2])
        inputs = [x, w, r, b if bias else "", np.int32([T] * N) if lengths else ""]
        if computed:  # [N, D * H] -> [D, N, H]
            split = net("Reshape", net("MatMul", net("Flatten", "x"), plane), ints(N, directions, STATES))
            inputs += [net("Transpose", split, perm=[1, 0, 2])] * states
        elif initial:
            inputs += [np.ascontiguousarray(start.transpose(1, 0, 2)) if layout else start for start in starts]
        first = net(kind, *inputs, outputs=1 + states, **attributes)
        y = first + "_" * output
        if layout:
            return y
        return net("Transpose", y, perm=[2, 0, 1, 3] if output == 0 else [1, 0, 2])

    def formula(x):
        begin = [t(s) for s in starts] if initial else [torch.zeros(directions, N, STATES, dtype=torch.float64)] * states
        if computed:
            begin = [(x.reshape(N, -1) @ t(plane)).reshape(N, directions, STATES).transpose(0, 1)] * states
        results = []
        for d in range(directions):
            cell = cell_of(kind, w[d], r[d], b[d], reset_last, activations or defaults)
            results.append(unrolled(sequence_of(x), cell, [s[d] for s in begin], direction == "reverse" or d == 1))
        if output == 0:
            y = torch.stack([h for h, _ in results], 1)  # [T, D, N, H]
            return y.permute(2, 0, 1, 3)
        return torch.stack([last[output - 1] for _, last in results]).transpose(0, 1)

    case(name, build, formula, opset)


recurrent("rnn", "RNN")
recurrent("rnn_rectified", "RNN", activations=["Relu"], direction="reverse", opset=7)
recurrent("rnn_last", "RNN", output=1, direction="bidirectional", initial=True)
recurrent("gru", "GRU")
recurrent("gru_reset_last", "GRU", reset_last=True)
recurrent("gru_last", "GRU", output=1, direction="bidirectional", reset_last=True, initial=True)
recurrent("gru_batch_first", "GRU", layout=1, direction="bidirectional", initial=True)
recurrent("gru_of_image_states", "GRU", computed=True, direction="reverse", bias=False)
recurrent("gru_unbiased", "GRU", reset_last=True, bias=False, output=1)
recurrent("lstm", "LSTM", opset=7)
recurrent("lstm_reverse", "LSTM", direction="reverse")
recurrent("lstm_both", "LSTM", direction="bidirectional", initial=True)
recurrent("lstm_last", "LSTM", output=1, bias=False)
recurrent("lstm_last_cell", "LSTM", output=2, direction="bidirectional")
recurrent("lstm_batch_first", "LSTM", layout=1, output=1, initial=True)
recurrent("lstm_of_image_states", "LSTM", computed=True, direction="bidirectional", output=2)
recurrent("lstm_whole_lengths", "LSTM", lengths=True)
recurrent("lstm_activations", "LSTM", activations=["Sigmoid", "Relu", "Tanh"])


def pytorch(name, kind, module, order, output):
    """PyTorch's own module, with the weights in the order that its exporter gives them: what the formulas above have in common with it."""
    torch.manual_seed(13)
    module = module(I, STATES, bidirectional=True).double()
    numbers = {key: value.detach().numpy().astype(np.float32) for key, value in module.named_parameters()}
    module.load_state_dict({key: t(value) for key, value in numbers.items()})
    turn = lambda a: np.concatenate([np.split(a, len(order))[i] for i in order])
    of = lambda what: [turn(numbers[f"{what}_l0{end}"]) for end in ("", "_reverse")]
    w, r = np.stack(of("weight_ih")), np.stack(of("weight_hh"))
    b = np.stack([np.concatenate(pair) for pair in zip(of("bias_ih"), of("bias_hh"))])
    attributes = {"linear_before_reset": 1} if kind == "GRU" else {}
    case(name, lambda net: net("Transpose", net(kind, sequence(net), w, r, b, outputs=1, direction="bidirectional", hidden_size=STATES, **attributes), perm=[2, 0, 1, 3]),
         lambda x: module(sequence_of(x))[0].reshape(T, N, 2, STATES).permute(1, 0, 2, 3))


pytorch("gru_of_pytorch", "GRU", torch.nn.GRU, [1, 0, 2], 0)
pytorch("lstm_of_pytorch", "LSTM", torch.nn.LSTM, [0, 3, 1, 2], 0)
pytorch("rnn_of_pytorch", "RNN", torch.nn.RNN, [0], 0)

# ---- Refused -------------------------------------------------------------------------------------

W, R, B = layer(4, 1)
lstm = lambda net, *more, w=W, r=R, **attributes: net("LSTM", sequence(net), w, r, *more, hidden_size=STATES, **attributes)
rows = lambda net, y: net("Transpose", y, perm=[2, 0, 1, 3])
refuse("lstm_clipped", lambda net: rows(net, lstm(net, clip=1.0)))
refuse("lstm_coupled", lambda net: rows(net, lstm(net, input_forget=1)))
refuse("lstm_peepholes", lambda net: rows(net, lstm(net, B, "", "", "", weights(1, 12))))
refuse("lstm_short", lambda net: rows(net, lstm(net, B, np.int32([T, T - 1]))))
refuse("lstm_sideways", lambda net: rows(net, lstm(net, direction="sideways")))
refuse("lstm_softsign", lambda net: rows(net, lstm(net, activations=["Sigmoid", "Softsign", "Tanh"])))
refuse("lstm_two_activations", lambda net: rows(net, lstm(net, activations=["Sigmoid", "Tanh"])))
refuse("lstm_of_other_weights", lambda net: rows(net, lstm(net, w=weights(1, 16, I + 1))))
refuse("lstm_of_other_states", lambda net: rows(net, lstm(net, r=weights(1, 16, 5))))
refuse("lstm_of_few_states", lambda net: rows(net, lstm(net, r=weights(1, 3, 4))))
refuse("lstm_of_one_direction", lambda net: rows(net, lstm(net, direction="bidirectional")))
refuse("lstm_of_other_bias", lambda net: rows(net, lstm(net, weights(1, 16))))
refuse("lstm_of_other_batch", lambda net: rows(net, lstm(net, B, "", weights(1, 3, 4))))
refuse("lstm_of_image", lambda net: rows(net, net("LSTM", "x", W, R, hidden_size=STATES)))
refuse("lstm_of_image_weights", lambda net: rows(net, net("LSTM", sequence(net), W, net("Reshape", "x", ints(1, 45, 4)), hidden_size=STATES)))
