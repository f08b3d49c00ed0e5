"""Write VGG weights as the files that people have: MatConvNet's, Keras', Keras 3's, PyTorch's."""

import io
import json
import pickle
import pickletools
import zipfile

import h5py
import numpy as np
import scipy.io

from nst.vgg.layers import convolutions
from nst.vgg.torch_file import MAGIC

MEAN = np.array([123.68, 116.779, 103.939], np.float32)


def cells(items):
    """A cell array of MATLAB."""
    array = np.empty((1, len(items)), object)
    for index, item in enumerate(items):
        array[0, index] = item
    return array


def write_mat(path, layers, layout, mean=MEAN):
    """Write weights as MatConvNet does, the ReLU and pool layers between them included.

    layout: old, new, beta, nameless (as the beta, without names), dag, or net (new, in a variable
    of that name). mean: in whatever shape; None for a file without it.
    """
    structs, parameters = [], []
    for name, (kernel, bias) in layers.items():
        both = cells([kernel, bias.reshape(1, -1) if layout == "old" else bias.reshape(-1, 1)])
        if layout == "old":
            extra = {"weights": both, "pad": [1, 1, 1, 1], "stride": [1, 1], "name": name}
        elif layout in ("beta", "nameless"):
            extra = {"filters": kernel, "biases": bias.reshape(1, -1)}
            extra |= {"name": name} if layout == "beta" else {}
        else:
            extra = {"name": name, "weights": both, "size": kernel.shape, "opts": {}}
        structs += [extra | {"type": "conv"}, {"type": "relu"}]
        for part, value in (("f", kernel), ("b", bias.reshape(-1, 1))):
            parameters.append((f"{name}{part}", value, 1.0))
    classifier = cells([np.ones((7, 7, 2, 4), np.float32), np.ones((4, 1), np.float32)])
    structs.append({"weights": classifier, "type": "conv", "name": "fc6"})
    normalization = {} if mean is None else {"averageImage": mean}
    if layout in ("old", "beta", "nameless"):
        contents = {"layers": cells(structs), "normalization": normalization}
    else:
        contents = {"layers": cells(structs), "meta": {"normalization": normalization}}
    if layout == "dag":
        fields = [("name", object), ("value", object), ("learningRate", object)]
        contents["params"] = np.array([parameters], fields)
    scipy.io.savemat(path, {"net": contents} if layout in ("net", "dag") else contents)


def write_keras(path, layers, network, top=False):
    """Write weights as the files of Keras Applications hold them: blue, green, red.

    top: with the classifier, all zeros.
    """
    arrays = {f"block{block}_pool": [] for block in range(1, 6)}
    for name in convolutions(network):
        kernel, bias = layers[name]
        kernel = kernel[:, :, ::-1] if name == "conv1_1" else kernel
        arrays[name.replace("conv", "block").replace("_", "_conv")] = [kernel, bias]
    classifier = {}
    if top:
        shapes = ((25088, 4096), (4096, 4096), (4096, 1000))
        classifier = dict(zip(("fc1", "fc2", "predictions"), shapes))
    with h5py.File(path, "w") as file:
        names = sorted([*arrays, *classifier])
        file.attrs["layer_names"] = [name.encode() for name in names]
        for layer in names:
            group = file.create_group(layer)
            has_weights = layer in classifier or arrays[layer]
            names = [f"{layer}_{kind}_1:0" for kind in "Wb"] if has_weights else []
            group.attrs["weight_names"] = [name.encode() for name in names]
            if layer in classifier:  # the zeros need not be written
                for name, shape in zip(names, (classifier[layer], classifier[layer][1:])):
                    group.create_dataset(name, shape, np.float32)
                continue
            for name, array in zip(names, arrays[layer]):
                group[name] = array


def write_keras_3(path, layers, network):
    """Write weights as Keras 3 saves them today: by the ending of ``path``, a model or weights.

    A model nested.keras or nested.h5 has the network as its first layer.
    """
    import keras

    build = {"VGG-16": keras.applications.VGG16, "VGG-19": keras.applications.VGG19}[network]
    model = build(include_top=False, weights=None)
    for name in convolutions(network):
        kernel, bias = layers[name]
        layer = model.get_layer(name.replace("conv", "block").replace("_", "_conv"))
        layer.set_weights([kernel[:, :, ::-1] if name == "conv1_1" else kernel, bias])
    if path.name.startswith("nested."):
        top = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
        model = keras.Sequential([keras.Input((None, None, 3)), model, *top])
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)


def torch_network(layers, name, stored=lambda a: a, of="FloatStorage"):
    """Operations of the tensors of a network, and their storages, as PyTorch saves them.

    layers: {layer: (kernel (3, 3, in, out), bias)}. name: called with layer, place and part.
    stored: turns arrays into the values of the storages, of the kind ``of``.
    """
    tensors, storages = {}, {}
    for place, (layer, (kernel, bias)) in enumerate(layers.items()):
        for part, array in (("weight", kernel.transpose(3, 2, 0, 1)), ("bias", bias)):
            key = str(len(storages))
            storages[key] = stored(np.ascontiguousarray(array))
            tensors[name(layer, place, part)] = tensor(key, storages[key], of=of)
    return named(tensors), storages


def operations(value):
    """The operations of a pickle that make a plain value."""
    return pickletools.optimize(pickle.dumps(value, 2))[2:-1]


def tensor(
    key, array, *, of="FloatStorage", offset=0, shape=None, strides=None, count=None, view=None
):
    """The operations that make a tensor of PyTorch; each part may be forged.

    view: of the storage, (key, first value, number of values), in the oldest files.
    """
    shape = array.shape if shape is None else shape
    if strides is None:
        strides = tuple(stride // array.itemsize for stride in array.strides)
    count = array.size if count is None else count
    storage = operations("storage") + f"ctorch\n{of}\n".encode() + operations(key)
    storage = b"(" + storage + operations("cpu") + operations(count) + operations(view) + b"tQ"
    view = b"".join(map(operations, (offset, shape, strides, False)))
    view += b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"tR"


def named(tensors):
    """The operations that make a dictionary of tensors."""
    return b"}(" + b"".join(operations(name) + made for name, made in tensors.items()) + b"u"


def torch_zip(tensors, storages, *, members=None, compressed=False, protocol=2):
    """A file of PyTorch since 1.6.

    tensors: operations of its pickle. storages: {key: array}. members: {name: content} of others,
    or None to leave one out.
    """
    found = {"data.pkl": b"\x80" + bytes([protocol]) + tensors + b".", "byteorder": b"little"}
    found |= {f"data/{key}": array.tobytes() for key, array in storages.items()}
    found |= {"version": b"3\n"} | (members or {})
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED if compressed else 0) as archive:
        for name, content in found.items():
            if content is not None:
                archive.writestr(f"archive/{name}", content)
    return made.getvalue()


def torch_bytes(tensors, storages, *, keys=None, protocol=None, sizes=None):
    """A file of PyTorch before 1.6.

    tensors, protocol, sizes, keys: operations of its pickles, by default as PyTorch writes them.
    storages: {key: array}.
    """
    keys = operations(list(storages)) if keys is None else keys
    parts = (
        operations(MAGIC),
        operations(1001) if protocol is None else protocol,
        operations({"little_endian": True}) if sizes is None else sizes,
        tensors,
        keys,
    )
    pickles = b"".join(b"\x80\x02" + part + b"." for part in parts)
    arrays = storages.values()
    return pickles + b"".join(len(a.ravel()).to_bytes(8, "little") + a.tobytes() for a in arrays)


def safetensors_bytes(tensors, metadata=None):
    """A .safetensors file of {name: (dtype as the format spells it, array)}."""
    header = {"__metadata__": metadata} if metadata else {}
    place = 0
    for name, (dtype, array) in tensors.items():
        end = place + array.nbytes
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    arrays = (array.tobytes() for _, array in tensors.values())
    return len(text).to_bytes(8, "little") + text + b"".join(arrays)
