"""From a torch model to ONNX files whose bytes depend on the weights and the versions only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.pipeline.quiet import quiet

#: Largest model in one file, in bytes. Protocol buffers end at 2 GiB; beyond this, weights go into a file beside it.
LARGEST_SINGLE_FILE = 1_900_000_000

#: Fields that torch's exporter fills with stack traces and paths of this machine.
_LOCAL = ("metadata_props", "doc_string")


def export(model: Any, place: Path, *, opset: int | None) -> int:
    """Write the model as ONNX: `input_ids` and `attention_mask`, int64 [batch, length], to `logits` [batch, length, tags].

    Batch and length are free. Weights beyond `LARGEST_SINGLE_FILE` go to `PLACE.data` beside it.

    Args:
        model: A token classifier of `transformers`, on the CPU, in evaluation mode.
        place: The file to write.
        opset: Version of ONNX's operators, or None for the exporter's own.

    Returns:
        The opset that was used.

    Raises:
        Exception: whatever the exporter raises; it documents none.
    """
    with quiet():
        import onnx
        import torch

    class OnlyLogits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    # The example has a padded row and no length of 1, so that nothing is taken for constant that is not.
    ids = torch.ones(2, 7, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    axes = {0: "batch", 1: "length"}
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            OnlyLogits().eval(),
            (ids, mask),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
        )
        assert program is not None
        program.save(str(place), external_data=size > LARGEST_SINGLE_FILE)
    proto = onnx.load(str(place), load_external_data=False)
    strip(proto)
    put_in_order(proto.graph)
    place.write_bytes(proto.SerializeToString(deterministic=True))
    return next(int(o.version) for o in proto.opset_import if o.domain in {"", "ai.onnx"})


def quantise(source: Path, place: Path) -> None:
    """Write the model with weights as signed 8-bit integers, scaled anew for every input (dynamic quantisation).

    Raises:
        Exception: whatever onnxruntime raises; it documents none.
    """
    with quiet():
        from onnxruntime.quantization import QuantType, quantize_dynamic
    with quiet():
        beside = source.with_name(source.name + ".data").exists()
        quantize_dynamic(str(source), str(place), weight_type=QuantType.QInt8, use_external_data_format=beside)


def strip(message: Any) -> None:
    """Clear what names this machine, in a protocol buffer message and all that it holds."""
    for field, value in message.ListFields():
        if field.name in _LOCAL:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for inner in value if hasattr(value, "__len__") else (value,):
                strip(inner)


def put_in_order(graph: Any) -> None:
    """Order and name what a graph computes by its outputs alone.

    Some models of `transformers` (ModernBERT is one) go through a set of texts as they run, so their traces list the same
    computations in another order in every process. Here nodes come in the order in which the outputs need them, each input
    before the next, and values and constants are numbered in that order; parameters, inputs and outputs keep their names.
    A graph with subgraphs, which may refer to any value around them, is left as it is.
    """
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return
    order = _as_needed(graph)
    fixed = {value.name for value in (*graph.input, *graph.output)}
    stored = {tensor.name for tensor in graph.initializer}
    fixed |= {name for name in stored if "." in name}  # a parameter is called by its place in the model, `model.encoder...`
    names: dict[str, str] = {"": ""}  # an input that is left out
    for node in order:
        for name in (*node.input, *node.output):
            if name not in names:
                names[name] = name if name in fixed else f"{'constant' if name in stored else 'value'}_{len(names)}"
        for field in (node.input, node.output):
            field[:] = [names[name] for name in field]
    for node in graph.node:
        node.name = ""
    for number, node in enumerate(order):
        node.name = f"{node.op_type}_{number}"
    _keep(graph.node, {node.name: number for number, node in enumerate(order)})
    place = {name: number for number, name in enumerate(names)}
    for field in (graph.value_info, graph.initializer):
        _keep(field, place)
        for value in field:
            value.name = names[value.name]


def _as_needed(graph: Any) -> list[Any]:
    """The nodes that the outputs need, each after those that it needs. Without recursion: graphs are deep."""
    maker = {name: n for n, node in enumerate(graph.node) for name in node.output if name}
    order: list[Any] = []
    done: set[int] = set()
    waiting = [(maker[value.name], False) for value in reversed(graph.output) if value.name in maker]
    while waiting:
        number, ready = waiting.pop()
        if number in done:
            continue
        node = graph.node[number]
        if ready:
            done.add(number)
            order.append(node)
            continue
        waiting.append((number, True))
        waiting += [(maker[name], False) for name in reversed(node.input) if name in maker and maker[name] not in done]
    return order


def _keep(messages: Any, place: Mapping[str, int]) -> None:
    """Leave only the messages whose name has a place, and sort them by it, within the list: weights are large."""
    for index in reversed(range(len(messages))):
        if messages[index].name not in place:
            del messages[index]
    messages.sort(key=lambda message: place[message.name])
