// Package spec reads pipeline.yaml: what the user asks for. It knows the
// language and checks everything that can be known before anything runs; what
// must be done, and where, is the business of package pipeline.
//
// # The language
//
// A spec is one YAML document:
//
//	version: 1
//	vars: {photos: data/photos, epochs: 150}
//	stages:
//	  pairs:    {kind: corpus, with: {root: "${photos}"}}
//	  images:   {kind: images, in: {pairs: pairs}}
//	  features: {kind: features, in: images, matrix: {tower: [vgg16, vgg19]}, with: {tower: "${tower}"}}
//	  …
//
// version is 1 and must be given. stages is a map of names and stages; a name
// has lower-case letters, digits, - and _, a letter first, 64 at most. The
// keys of a stage are:
//
//	kind         which sort of stage does the work (`hearsight stages` lists them); the only one required
//	in           where its inputs come from: {port: stage} or {port: [stage, stage]}
//	with         parameters of the kind; those left out have the kind's defaults
//	matrix       the stage several times, with different settings
//	resources    {cpus: 2, memory: 8GiB, time: 12h, output: 1GiB}: what it may use; no result depends on it
//	max_rejects  how many items may be set aside before the stage fails: a share (2%) or a count (3);
//	             1 % if not given, but never less than one item
//	shards       parts that the items are cut into, 1 to 100
//
// shards is for kinds that work item by item; any kind may set items aside.
//
// Of resources, cpus and memory are what a stage counts for beside others that
// run at the same time. time, memory and output are limits as well: a stage that
// takes longer fails, and so does one that starts a program which, with all that
// it starts in turn, has more than memory in use, or which prints more than output
// or writes a larger file. Such a program is ended, and its children with it.
//
// # Inputs
//
// A kind has named ports, each for artifacts of certain types. Where a kind
// has one port only, its name may be left out: `in: pairs`. A port takes one
// stage, or as many as are listed if the kind says so. Stages may stand in any
// order, but must not need each other in a circle.
//
// # Variables
//
// ${name} in any string stands for a variable of vars, or for a field of the
// stage's own matrix. A string that is nothing but "${epochs}" takes the
// variable's type, so that a number stays one; in longer strings its text is
// put in. $${ is ${ itself, unreplaced: an exec command writes $${HOME} for
// the shell's ${HOME}. Keys are not replaced. Variables are strings, numbers,
// true or false, and may stand in each other. One without a value (`weights:`)
// must be given by --set.
//
// --set name=value gives a variable of the file another value. If the file
// has a string there it is taken as a string, else as it would be read in the
// file.
//
// # Matrices
//
// A matrix repeats a stage. Each repetition is an instance with a name of its
// own, stage@value, and fields that ${…} may name:
//
//	matrix: {tower: [vgg16, vgg19], width: [224, 448]}
//
// is every combination, the last field turning fastest: features@vgg16,224,
// features@vgg16,448, ….
//
//	matrix:
//	  - {system: VGG16_5, tower: vgg16, audio: conv5}
//	  - {system: VGG19_6, tower: vgg19, audio: conv6}
//
// is these instances, each named by its first field: model@VGG16_5. A value that
// names an instance has letters, digits and . _ + - ( ), at most 64.
//
//	matrix: model
//
// repeats the matrix of another stage, so that
//
//	scores: {kind: eval, in: {model: "model@${system}"}, matrix: model}
//
// has an instance for each instance of model. An input names an instance in
// full, "features@vgg16" or "features@${tower}". At a port that takes many
// stages, the bare name of a stage stands for all its instances.
//
// # Values
//
// true and false are the only booleans; yes, no, on and off are strings.
// Numbers are finite; a leading zero, which some read as octal, is refused.
// Durations and sizes have their unit: 90s, 15m, 1h30m; 512MiB, 8GiB (by
// 1024), 1.5GB (by 1000). Paths are relative to the folder of the spec.
// Anchors, aliases and merge keys (<<) work within the limits below.
//
// # Problems
//
// Load does not stop at the first mistake. It returns Problems, every one with
// file, line, column, the line with a caret below, and the word that was
// probably meant. Only YAML that cannot be parsed hides what comes after it.
// Of the instances of a matrix, only the first with a problem at a place tells
// of it.
//
// # Limits
//
// A spec may come from anywhere, so reading it takes bounded time and memory:
// 4 MiB, 500,000 keys and values, 64 levels, 1,000 aliases that make at most
// ten times the file of it, 64 KiB a string, 20,000 stages with their
// instances. No recursion follows the stages, so their chain may be as long.
//
// The YAML parser is go.yaml.in/yaml/v4: for 10,000 stages (1 MB) it takes
// 0.08 s where goccy/go-yaml v1.19.2 takes 2.4 s and 1.1 GB (2 cores, November
// 2026), and of the hostile files that make the latter hang or fill the memory
// none troubles it. Of an error it tells the line at best, often only that of
// the map around it; drip finds the place.
package spec
