"""PyTorch's own tutorial (https://pytorch.org/tutorials/beginner/basics/quickstart_tutorial.html), on images that it makes itself.

It saves its model at the end of each epoch, and loads it where it is there.
"""

import json
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
shapes = torch.rand(10, 28, 28, generator=torch.Generator().manual_seed(0))  # ten articles of clothing


def images(count, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (count,), generator=generator)
    return TensorDataset(shapes[labels] + torch.randn(count, 28, 28, generator=generator), labels)


train_dataloader = DataLoader(images(640, 1), batch_size=64, shuffle=True)
test_dataloader = DataLoader(images(256, 2), batch_size=64)


class NeuralNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, x):
        return self.linear_relu_stack(self.flatten(x))


model = NeuralNetwork()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def test(model):
    model.eval()
    with torch.no_grad():
        right = sum((model(X).argmax(1) == y).sum().item() for X, y in test_dataloader)
    return right / len(test_dataloader.dataset)


epochs = 8
saved = Path("outputs/model.pth")
saved.parent.mkdir(exist_ok=True)
if saved.exists():
    model.load_state_dict(torch.load(saved, weights_only=True))
for epoch in range(epochs):
    for X, y in train_dataloader:
        model.train()
        loss = loss_fn(model(X), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        time.sleep(0.6)  # as large models take
    print(f"epoch {epoch + 1}: accuracy {test(model):.1%}")
    torch.save(model.state_dict(), saved)

Path("outputs/accuracy.json").write_text(json.dumps({"accuracy": test(model), "loss": loss.item()}))
torch.save(model.state_dict(), "outputs/model.pth")
