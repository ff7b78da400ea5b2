"""Classifiers that go along the rows or columns of an image, with PyTorch's own recurrent layers and with loops that torch.jit.script keeps."""

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

    def __init__(self, width, classes, kind=nn.GRU):
        super().__init__()
        layers, inputs = [], 3
        for outputs in (32, 64, 128):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.rnn, self.head = kind(inputs, width, 2, bidirectional=True), nn.Linear(2 * width, classes)

    def forward(self, x):
        columns = self.features(x).mean(2).permute(2, 0, 1)  # [T,N,C]
        return self.head(self.rnn(columns)[0].mean(0))


NETWORKS = {
    "row_lstm": lambda: RowLSTM(28, 128, 2, 10),
    "row_lstm_last": lambda: RowLSTM(28, 128, 1, 10, batch_first=False),
    "column_gru": lambda: ColumnGRU(96, 10),
    "column_lstm": lambda: ColumnGRU(96, 10, nn.LSTM),
    "column_rnn": lambda: ColumnGRU(96, 10, nn.RNN),
}
