"""Classifiers that go along the rows or columns of an image, with PyTorch's own recurrent layers and with loops that torch.jit.script keeps."""

from typing import List

import torch
import torch.nn as nn
import torch.nn.functional as F


class RowLSTM(nn.Module):
    """The classic of MNIST: an image is a sequence of rows, the last state is classified. Each of `size` rows is a mean over 8."""

    def __init__(self, size, width, layers, classes, batch_first=True):
        super().__init__()
        self.lstm = nn.LSTM(3 * size, width, layers, batch_first=batch_first)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = F.avg_pool2d(x, 8)
        if self.lstm.batch_first:
            return self.head(self.lstm(x.permute(0, 2, 1, 3).flatten(2))[0][:, -1])
        return self.head(self.lstm(x.permute(2, 0, 1, 3).flatten(2))[1][0][-1])


class ColumnGRU(nn.Module):
    """CRNN's form: convolutions, whose columns a bidirectional GRU reads to and fro; the mean over columns is classified."""

    def __init__(self, widths, hidden, classes, kind=nn.GRU):
        super().__init__()
        layers, inputs = [], 3
        for outputs in widths:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.rnn, self.head = kind(inputs, hidden, 2, bidirectional=True), nn.Linear(2 * hidden, classes)

    def forward(self, x):
        columns = self.features(x).mean(2).permute(2, 0, 1)  # [T,N,C]
        return self.head(self.rnn(columns)[0].mean(0))


# ---- Scripted: the exporter writes Loop, If and sequences ------------------------------------------------


class ScriptedRows(nn.Module):
    """An own cell, whose outputs are appended to a list and stacked. Exported by torch.jit.script."""

    scripted = True

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.width, self.into, self.cell, self.head = width, nn.Linear(3 * 28, 2 * width), nn.Linear(width, 2 * width), nn.Linear(width, classes)

    def forward(self, x):
        rows = F.avg_pool2d(x, 8).permute(2, 0, 1, 3).flatten(2)
        h = torch.zeros(rows.shape[1], self.width, dtype=x.dtype)
        kept: List[torch.Tensor] = []
        for i in range(rows.shape[0]):
            gate, candidate = (self.into(rows[i]) + self.cell(h)).chunk(2, 1)
            h = h + torch.sigmoid(gate) * (torch.tanh(candidate) - h)
            kept.append(h)
        return self.head(torch.stack(kept).mean(0))


class ScriptedRefinement(nn.Module):
    """A recurrent convolutional network: one convolution goes round as often as the image has rows of patches, and every second time further ones halve
    what it adds; a while counts."""

    scripted = True

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.stem, self.conv, self.norm, self.head = nn.Conv2d(3, width, 16, 16), nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x)
        h, i = x, 0
        while i < x.shape[2] // 2:
            y = self.conv(F.relu(h))
            if i % 2 == 1:
                y = y * 0.5
            h = self.norm(y + x)
            i += 1
        return self.head(F.relu(h).mean((2, 3)))


NETWORKS = {
    "row_lstm": lambda: RowLSTM(28, 128, 2, 10),
    "row_lstm_last": lambda: RowLSTM(28, 128, 1, 10, batch_first=False),
    "column_gru": lambda: ColumnGRU([32, 64, 128], 96, 10),
    "column_lstm": lambda: ColumnGRU([32, 64, 128], 96, 10, nn.LSTM),
    "column_rnn": lambda: ColumnGRU([32, 64, 128], 96, 10, nn.RNN),
    "scripted_rows": lambda: ScriptedRows(96, 10),
    "scripted_refinement": lambda: ScriptedRefinement(64, 10),
}
