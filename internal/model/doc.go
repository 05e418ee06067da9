// Package model holds Hearsight's networks: what their layers are, their
// parameters, and how they are stored.
//
// # The idea
//
// A model is two towers that end in the same number of channels. The image
// tower turns a picture, or the feature map of a frozen network, into a grid of
// vectors; the audio tower turns MFCC frames into a row of vectors. The
// similarity of a picture and a clip is read off the products of the two
// (package nn). Towers are data, a list of layers with a name, so that a
// variant is another list and not another program:
//
//	image, _ := model.ImageTower("head", model.HeadOptions{In: 512, Kernel: 3})
//	audio, _ := model.AudioTower("conv5", model.AudioOptions{Coeffs: 40})
//	m, err := model.New[float32](model.Spec{Image: image, Audio: audio, …}, seed)
//
// A [Model] is stored as two files: model.safetensors with every tensor in
// float32, and model.json with the [Spec]. [Load] takes both back and trusts
// neither.
//
// The pretrained networks whose feature maps the image tower may start from,
// VGG16, VGG19 and ResNet50, are a [Frozen]: inference alone, straight on
// internal/kernel, from safetensors with torchvision's names. Where the makers
// of weights differ, in how pixels go in and where strides sit, the file's
// metadata or the caller says which it is ([FrozenOptions]).
package model
