"""Write VGG weights as the files that people have: MatConvNet's, Keras', Keras 3's, PyTorch's."""

import pickle
import pickletools

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
    """Write weights as MatConvNet does, the ReLU and pool layers between them included."""
    structs = []
    for name, (kernel, bias) in layers.items():
        both = cells([kernel, bias.reshape(1, -1) if layout == "old" else bias.reshape(-1, 1)])
        old = {"weights": both, "pad": [1, 1, 1, 1], "type": "conv", "name": name, "stride": [1, 1]}
        new = {"name": name, "type": "conv", "weights": both, "size": kernel.shape, "opts": {}}
        structs.append(old if layout == "old" else new)
        structs.append({"type": "relu", "name": name.replace("conv", "relu")})
    classifier = cells([np.ones((7, 7, 2, 4), np.float32), np.ones((4, 1), np.float32)])
    structs.append({"weights": classifier, "type": "conv", "name": "fc6"})
    if layout == "old":
        picture = np.broadcast_to(mean, (224, 224, 3))
        contents = {"layers": cells(structs), "normalization": {"averageImage": picture}}
    else:
        meta = {"normalization": {"averageImage": mean.reshape(1, 1, 3)}}
        contents = {"layers": cells(structs), "meta": meta}
    scipy.io.savemat(path, contents)


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
    """Write weights as Keras 3 saves them today."""
    import keras

    build = {"VGG-16": keras.applications.VGG16, "VGG-19": keras.applications.VGG19}[network]
    model = build(include_top=False, weights=None)
    for name in convolutions(network):
        kernel, bias = layers[name]
        layer = model.get_layer(name.replace("conv", "block").replace("_", "_conv"))
        layer.set_weights([kernel[:, :, ::-1] if name == "conv1_1" else kernel, bias])
    model.save_weights(path)


def operations(value):
    """The operations of a pickle that make a plain value."""
    return pickletools.optimize(pickle.dumps(value, 2))[2:-1]


def tensor(key, array, *, of="FloatStorage", offset=0, shape=None, strides=None, count=None):
    """The operations that make a tensor of PyTorch; each part may be forged."""
    shape = array.shape if shape is None else shape
    if strides is None:
        strides = tuple(stride // array.itemsize for stride in array.strides)
    count = array.size if count is None else count
    storage = operations("storage") + f"ctorch\n{of}\n".encode() + operations(key)
    storage = b"(" + storage + operations("cpu") + operations(count) + b"NtQ"
    view = b"".join(map(operations, (offset, shape, strides, False)))
    view += b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"tR"


def named(tensors):
    """The operations that make a dictionary of tensors."""
    return b"}(" + b"".join(operations(name) + made for name, made in tensors.items()) + b"u"


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
