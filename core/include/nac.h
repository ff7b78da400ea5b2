/* nac.h - Neuron Activation Coverage: how familiar is this image to this network?
 *
 * Source: Liu et al., "Neuron Activation Coverage: Rethinking Out-of-distribution Detection and
 * Generalization", arXiv 2306.02879 (ICLR 2024), and the authors' code (BierOne/ood_coverage at
 * b002780). Where the two differ this library follows the code, because the published figures are its.
 *
 * The road of one image:
 *   bytes  -> nac_image_decode -> nac_image_to_tensor -> nac_session_input
 *          -> nac_session_forward, nac_session_backward -> nac_session_tap_z, nac_session_tap_g
 *          -> nac_profile_score -> score in [0, 1], high = in-distribution
 *
 * Conventions
 *   - Every function that can fail returns nac_status and takes a nac_error (may be NULL) that receives
 *     one sentence naming the offending value. Results are written only on NAC_OK.
 *   - N, C, H, W, K, T: batch, channels, height, width, classes, tokens. Tensors are float32, row-major.
 *   - open/close: parsed from bytes the caller may free afterwards. create/destroy: owns memory.
 *   - The library reads no file, prints nothing, knows no clock and starts no thread. Objects are
 *     independent; one object must not be used by two threads at once.
 *   - All input bytes are untrusted. Sizes are checked against nac_limits.h before memory is taken.
 */
#ifndef NAC_H
#define NAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nac_limits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ------------------------------------------------------------------------------------ */

/* X(name, sentence): makes the enum, nac_status_name and nac_status_text; JavaScript's NacError.code
 * is the same name. Append only: the numbers cross the wasm boundary. */
#define NAC_STATUS_LIST(X)                                                  \
    X(OK, "no error")                                                       \
    X(INVALID_ARGUMENT, "an argument is out of its stated range")           \
    X(OUT_OF_MEMORY, "memory ran out")                                      \
    X(LIMIT_EXCEEDED, "a stated limit would be exceeded")                   \
    X(MALFORMED, "the bytes do not follow their format")                    \
    X(UNSUPPORTED, "the bytes are valid but use a feature outside of this") \
    X(MISMATCH, "two objects do not belong together")                       \
    X(NOT_FINITE, "a number is NaN or infinite")                            \
    X(INTERNAL, "a broken promise inside the library: please report it")    \
    X(NOT_FOUND, "a file that is needed has not been handed over")

typedef enum nac_status {
#define X(name, sentence) NAC_##name,
    NAC_STATUS_LIST(X)
#undef X
} nac_status;

enum { NAC_ERROR_LENGTH = 320 };

/* The sentence is UTF-8, NUL-terminated, without a final newline; control characters of foreign names
 * are replaced by '?'. */
typedef struct nac_error {
    nac_status status;
    char message[NAC_ERROR_LENGTH];
} nac_error;

const char *nac_status_name(nac_status status); /* "MALFORMED" */
const char *nac_status_text(nac_status status); /* the sentence of the list above */

/* ---- Limits ------------------------------------------------------------------------------------ */

/* Ceilings on what strangers' bytes may ask for, NAC_MAX_*: nac_limits.h. What is over one of them is refused with
 * NAC_LIMIT_EXCEEDED before its memory is taken. */
enum { NAC_MAX_RANK = 6 }; /* dimensions of a tensor; arrays rely on it */

/* ---- Images ------------------------------------------------------------------------------------ */

typedef enum nac_filter { NAC_FILTER_BILINEAR, NAC_FILTER_BICUBIC } nac_filter;
typedef enum nac_alpha { NAC_ALPHA_DROP, NAC_ALPHA_WHITE, NAC_ALPHA_BLACK } nac_alpha;
typedef enum nac_resize { NAC_RESIZE_NONE, NAC_RESIZE_SHORT_SIDE, NAC_RESIZE_EXACT } nac_resize;
typedef enum nac_channel_order { NAC_RGB, NAC_BGR } nac_channel_order;

/* Everything between the bytes of a file and the tensor a network was trained on. It belongs to the
 * profile: another preprocessing is another distribution.
 * JSON form (profile's "preprocess", a --preset file):
 *   { "exif": "ignore"|"apply", "color": "rgb", "alpha": "drop"|"white"|"black",
 *     "resize": null | {"shortSide": S} | {"width": W, "height": H}, "filter": "bilinear"|"bicubic",
 *     "crop": null | [W, H], "scale": 0.00392156862745098, "mean": [r,g,b], "std": [r,g,b],
 *     "channelOrder": "rgb"|"bgr" } */
typedef struct nac_preprocess {
    bool exif;            /* apply EXIF orientation (PIL's Image.open does not) */
    nac_alpha alpha;      /* drop as PIL's convert("RGB") does, or composite over a colour */
    nac_resize resize;    /* as torchvision: short side to S, long side int(S * long / short) */
    int resize_width;     /* pixels; S for NAC_RESIZE_SHORT_SIDE */
    int resize_height;    /* pixels; unused for NAC_RESIZE_SHORT_SIDE */
    nac_filter filter;    /* Pillow's, antialiased, byte-exact */
    int crop_width;       /* centre crop, 0: none; zero-padded where the image is smaller */
    int crop_height;
    double scale;         /* u8 -> float: 1/255 for torchvision */
    float mean[3];        /* x = (u8 * scale - mean) / std, in the order of `order` */
    float std[3];
    nac_channel_order order;
} nac_preprocess;

/* Reads the JSON form. Unknown keys, wrong types and values out of range (side > NAC_MAX_IMAGE_SIDE,
 * std <= 0, not finite) are NAC_MALFORMED. Missing keys take the values of the imagenet preset. */
nac_status nac_preprocess_parse(const char *json, size_t size, nac_preprocess *preprocess, nac_error *error);

/* "imagenet", "cifar10" or "tf"; NAC_INVALID_ARGUMENT for another name. */
nac_status nac_preprocess_preset(const char *name, nac_preprocess *preprocess, nac_error *error);

/* Writes the canonical JSON form (NUL-terminated) to `json`; *size is set to the length without the NUL.
 * NAC_LIMIT_EXCEEDED if capacity is too small (1024 always suffices). */
nac_status nac_preprocess_write(const nac_preprocess *preprocess, char *json, size_t capacity, size_t *size, nac_error *error);

/* RGB8, row-major, 3 bytes a pixel, no padding. Owned: free with nac_image_free. */
typedef struct nac_image {
    int width, height;
    uint8_t *rgb;
} nac_image;

/* Decodes JPEG or PNG to the bytes of Pillow's convert("RGB"), applies alpha and EXIF policy. As there, 16-bit samples give
 * their high byte, but gray alone is clipped at 255. NAC_MALFORMED: damaged or cut short; what can be noticed without decoding
 * is never half an image. NAC_UNSUPPORTED: another format (named where it is recognised). NAC_LIMIT_EXCEEDED: over
 * NAC_MAX_IMAGE_* by its header, before pixels are allocated. */
nac_status nac_image_decode(const void *bytes, size_t size, const nac_preprocess *preprocess, nac_image *image, nac_error *error);

/* Copies width x height pixels, `channels` 3 (RGB) or 4 (RGBA, alpha policy applied): for pixels that
 * the host has decoded itself (WebP through createImageBitmap). */
nac_status nac_image_from_pixels(const uint8_t *pixels, int width, int height, int channels,
                                 const nac_preprocess *preprocess, nac_image *image, nac_error *error);

/* Copies the rectangle [x, x+width) x [y, y+height) of `source`: one tile of a sprite. */
nac_status nac_image_crop(const nac_image *source, int x, int y, int width, int height, nac_image *image, nac_error *error);

/* Pillow's Image.resize((width, height), filter) with its default reducing_gap=None: byte-exact. */
nac_status nac_image_resize(const nac_image *source, int width, int height, nac_filter filter, nac_image *image, nac_error *error);

/* Size of the tensor that nac_image_to_tensor makes of a width x height image. */
nac_status nac_preprocess_size(const nac_preprocess *preprocess, int width, int height, int *out_width, int *out_height, nac_error *error);

/* Resize, centre crop, normalise. tensor is [H, W, 3] with H, W from nac_preprocess_size. */
nac_status nac_image_to_tensor(const nac_image *image, const nac_preprocess *preprocess, float *tensor, nac_error *error);

void nac_image_free(nac_image *image); /* leaves {0, 0, NULL}; NULL is fine */

/* ---- Models ------------------------------------------------------------------------------------ */

typedef struct nac_model nac_model;

/* Reads an ONNX model (opset 7-25). The weights stay where they are: bytes must stay valid and unchanged until
 * nac_model_close. Functions are refused; operators are not looked at. */
nac_status nac_model_open(const void *bytes, size_t size, nac_model **model, nac_error *error);
void nac_model_close(nac_model *model);

/* The files, besides the model's own, that hold numbers of its tensors (ONNX external data: model.onnx.data): names in the order of their bytes,
 * NULL past the last. No file is opened by the library. A name is a stranger's, but nac_model_open has refused all that could lead out of the
 * model's folder: it is relative, parts are divided by '/', and there is neither '..' nor '\\' nor ':' nor a control character in it. */
const char *nac_model_file(const nac_model *model, size_t index);

/* Hands over the bytes of the file of that name, which must stay valid and unchanged until nac_model_close. A session needs all of them
 * (NAC_NOT_FOUND names the first that it lacks), nac_model_info and nac_model_check none. NAC_INVALID_ARGUMENT: the model names no such file,
 * or it is there already. NAC_MALFORMED: it ends before a tensor in it does. NAC_LIMIT_EXCEEDED: the model and its files have more
 * than NAC_MAX_MODEL_BYTES bytes. */
nac_status nac_model_attach(nac_model *model, const char *name, const void *bytes, size_t size, nac_error *error);

/* NAC_UNSUPPORTED names the first operator, and its node, that the logits (the first output) need and that is not supported. A session
 * begins with the same look, before memory is taken for any weight. */
nac_status nac_model_check(const nac_model *model, nac_error *error);

/* JSON for `nac info`: { name, opset, producer, inputs, outputs, operators: {Conv: 20, ...}, labels, unsupported: ["Foo", ...],
 * parameters, files: [{name, bytes}] }. files: those of nac_model_file, and the bytes that each must have at least. Owned by the model. */
const char *nac_model_info(const nac_model *model);

/* ---- Sessions ---------------------------------------------------------------------------------- */

/* How a tap's tensor becomes one number a neuron. Sums, not means (paper's code): alpha belongs to one size. */
typedef enum nac_pool {
    NAC_POOL_SUM,  /* [N,C,H,W] over H,W; [N,T,C] or [T,N,C] over T; [N,C] as it is */
    NAC_POOL_NHWC, /* [N,H,W,C] over H,W: channels last in the ONNX file */
    NAC_POOL_MEAN, /* like SUM, divided by the number of summands */
    NAC_POOL_CLS,  /* [N,T,C] or [T,N,C]: token 0 alone */
    NAC_POOL_NONE, /* every element is a neuron */
} nac_pool;

typedef struct nac_tap {
    const char *tensor; /* name of an ONNX tensor */
    nac_pool pool;
} nac_tap;

typedef enum nac_backend { NAC_BACKEND_REFERENCE, NAC_BACKEND_XNNPACK } nac_backend;

typedef struct nac_session_options {
    int batch;         /* N >= 1; must equal the model's own where that is fixed */
    int height, width; /* pixels of the input; 0: the model's own, NAC_INVALID_ARGUMENT if that is free */
    const nac_tap *taps;
    size_t tap_count;  /* 0: "auto", see nac_session_tap_name */
    nac_backend backend;
    bool keep_maps;    /* keep every tap's whole z, for nac_session_tap_map */
    /* NULL, or called when nothing more will be read of the model, before weights are packed and the memory of runs is taken: who closes
     * the model and frees its bytes there never holds both. Not called where creation fails before that. */
    void (*model_read)(void *context);
    void *context;
} nac_session_options;

typedef struct nac_session nac_session;

/* Binds the input's size, folds, fuses, plans one arena for forward and backward, packs weights. After
 * this no run allocates. The model may be closed then, or earlier (model_read). NAC_LIMIT_EXCEEDED says how many bytes are needed. */
nac_status nac_session_create(const nac_model *model, const nac_session_options *options, nac_session **session, nac_error *error);
void nac_session_destroy(nac_session *session);

/* The buffer to fill before a run: [N, H, W, 3]; dims receives the four sizes. */
float *nac_session_input(nac_session *session, int dims[4]);

/* Runs the network; then logits and z are valid. NAC_NOT_FINITE names the first tap (or the logits) that
 * holds NaN or infinity. */
nac_status nac_session_forward(nac_session *session, nac_error *error);

/* Takes p - 1/K back to the earliest tap in one sweep; then g is valid. After nac_session_forward. */
nac_status nac_session_backward(nac_session *session, nac_error *error);

/* One node of the plan by itself, for timing: running 0 .. node_count - 1 in order is a forward and a backward without their
 * checks. Nodes [0, forward_count) are the forward pass. nac_session_info says what each one is. */
nac_status nac_session_run_node(nac_session *session, int node, nac_error *error);
int nac_session_node_count(const nac_session *session);
int nac_session_forward_count(const nac_session *session);

int nac_session_batch(const nac_session *session);
int nac_session_classes(const nac_session *session);          /* K */
const float *nac_session_logits(const nac_session *session);  /* [N, K] */
int nac_session_tap_count(const nac_session *session);
/* The tap that the classifier reads, where the logits are one affine map of it: logits = W z + b, with z as this tap pools it
 * (a global average pool before a dense layer; a class token). -1: no tap is. */
int nac_session_classifier_tap(const nac_session *session);
/* Copies that W to weight [K, C] and b (zeroes where the model has none) to bias [K]. NAC_INVALID_ARGUMENT where there is no such tap,
 * NAC_UNSUPPORTED from another backend than NAC_BACKEND_REFERENCE, which alone keeps weights as they were. */
nac_status nac_session_classifier(const nac_session *session, float *weight, float *bias, nac_error *error);
const char *nac_session_tap_name(const nac_session *session, int tap);
nac_pool nac_session_tap_pool(const nac_session *session, int tap);
int nac_session_tap_neurons(const nac_session *session, int tap);         /* C */
const float *nac_session_tap_z(const nac_session *session, int tap);      /* [N, C], pooled activation */
const float *nac_session_tap_g(const nac_session *session, int tap);      /* [N, C], pooled gradient */
/* The tap's whole activation as [N, H, W, C] (dims; H = T, W = 1 for tokens), NULL without keep_maps.
 * z[h,w,c] * G[c] is what position (h,w) contributes to neuron c. */
const float *nac_session_tap_map(const nac_session *session, int tap, int dims[4]);

/* JSON: { input: [N,H,W,C], classes, logits, macsForward, macsBackward, arenaBytes, weightBytes (before kernels arrange them: bytes of quantised ones
 * may become floats then), taps: [{name, pool, neurons}],
 * candidates: [{name, pool, shape}], nodes: [{name, op, macs}] }. Shapes of candidates are ONNX's. `logits` is "logits", or "logarithms of probabilities"
 * of a model that averages softmaxes: then softmax(logits) is the average, and so is the gradient's. Owned by the session. */
const char *nac_session_info(const nac_session *session);

/* ---- States, bins, coverage --------------------------------------------------------------------- */

/* sigmoid(alpha * (z * g)) in float32, in [0, 1]; NaN in, NaN out. alpha > 0. Where float32 runs out of digits the
 * authors' code has exact values, and so has this: 0.5 for -1.78e-7 < x < 8.9e-8 (so every dead unit, z * g = 0),
 * 1 for x >= 16.64, 0 for x < -88.73 (where exp overflows), with x = alpha * (z * g). */
float nac_state(float z, float g, float alpha);

/* The authors' M edges (M even, 4..NAC_MAX_BINS) for NAC-UE: dense around 0.5, M - 1 bins, the last of
 * which, [1.01, 1.2), can never be hit. edges[M/2 - 1] is exactly 0.5, so dead units fall in bin M/2 - 1; the others
 * agree with NumPy's to a few units in the last place (its log is not libm's). NAC_INVALID_ARGUMENT for another M. */
nac_status nac_bin_edges(int M, double *edges, nac_error *error);

/* np.linspace(0, 1, M), NAC-ME's edges (M in 2..NAC_MAX_BINS). Bins are right-open: the state 1 falls in none.
 * (The authors' torch.linspace rounds them to float32: no edge moves by more than 6e-8.) */
nac_status nac_bin_edges_linear(int M, double *edges, nac_error *error);

/* i with edges[i] <= s < edges[i+1], compared in double, or -1 (NaN, out of range). Edges must ascend. O(log M). */
int nac_bin(float s, const double *edges, int M);

/* The two loops below a profile, for searches over alpha, M and O on cached z and g, and for NAC-ME. z and g are
 * [N, neurons], counts is [M-1, neurons], edges is [M], finite and strictly ascending.
 * NAC_INVALID_ARGUMENT for neurons, M, alpha, O out of range; NaN or infinite z, g fall where their state falls, NaN in no bin. */

/* counts[bin, c] += 1 for every image; a count of 2^32 - 1 stays. */
nac_status nac_coverage_count(int N, int neurons, const float *z, const float *g, float alpha, int M, const double *edges,
                              uint32_t *counts, nac_error *error);

/* scores is [O_count, N]: for every O (1..64 values) the mean over neurons of min(counts[bin, c] / O, 1). One layer's
 * NAC-UE; of several layers the mean of theirs is the image's. */
nac_status nac_coverage_score(int N, int neurons, const float *z, const float *g, float alpha, int M, const double *edges,
                              const uint32_t *counts, const double *O, int O_count, float *scores, nac_error *error);

/* ---- Profiles ---------------------------------------------------------------------------------- */

typedef struct nac_layer {
    const char *name; /* the tap's ONNX tensor: UTF-8, 1..NAC_MAX_NAME bytes; lives as long as the profile */
    nac_pool pool;
    int neurons; /* C, 1..NAC_MAX_NEURONS */
    float alpha; /* finite, > 0: steepness of the state's sigmoid */
    int M;       /* edges: even, 4..NAC_MAX_BINS */
    double O;    /* finite, > 0: images that fill a bin; larger than the number of images is legal */
} nac_layer;

typedef struct nac_profile nac_profile;

/* An empty profile (all counts zero) with the authors' edges, of 1..NAC_MAX_TAPS layers. Names are copied. Memory: 4 (M - 1)
 * neurons bytes and 8 KB a layer, however many images are counted, plus 8 bytes for every image hash that is handed in.
 * NAC_INVALID_ARGUMENT for a layer out of the ranges above. */
nac_status nac_profile_create(const nac_layer *layers, size_t layer_count, nac_profile **profile, nac_error *error);
void nac_profile_destroy(nac_profile *profile); /* NULL is fine */

/* Reads a safetensors file; edges are the file's, finite and strictly ascending. Everything is checked: the container
 * (no gap, no overlap, no key twice), metadata, shapes, and that no neuron was counted more often than there are images.
 * NAC_MALFORMED says what is wrong, NAC_UNSUPPORTED names another version, NAC_LIMIT_EXCEEDED a size over its limit.
 *
 * The file. `__metadata__`, strings: "format" "nac-profile"; "version" "1"; "images", decimal; "layers", JSON, in order
 * [{ name, pool ("sum", "nhwc", "mean", "cls", "none"), neurons, alpha, M, O }]; "calibration", JSON { images, falseAlarm,
 * threshold }, where calibrated; and nac_profile_set_metadata's. Tensors: "<i>.edges" F64 [M] and "<i>.counts" U32 [M-1,
 * neurons] of layer i = 0, 1, ...; "calibration.scores" F32 [images], ascending; "calibration.classes" U32 [images], the class
 * predicted for each, ascending where scores are equal, optional; "images.hash" and "calibration.hash" U64, ascending, where
 * there are any. Metadata of unknown keys is kept and written back; unknown tensors are not. */
nac_status nac_profile_open(const void *bytes, size_t size, nac_profile **profile, nac_error *error);

/* Writes the safetensors file; *bytes is owned by the profile until the next save or destroy. Canonical: profiles that are
 * equal are equal bytes. NAC_LIMIT_EXCEEDED when the metadata is longer than NAC_MAX_PROFILE_HEADER. */
nac_status nac_profile_save(nac_profile *profile, const void **bytes, size_t *size, nac_error *error);

/* Counts N >= 0 images: z[l] and g[l] are [N, neurons of layer l]. Order and batching never matter. A calibration
 * and the metadata "selfTest" were measured on other counts, so both are dropped (with N > 0).
 * NAC_NOT_FINITE if an input is NaN or infinite, NAC_LIMIT_EXCEEDED past 2^32 - 1 images; nothing is counted then. */
nac_status nac_profile_add(nac_profile *profile, int N, const float *const *z, const float *const *g, nac_error *error);

/* profile += other, counts, number of images and hashes: bit for bit the profile of both sets. Calibration and "selfTest" are
 * dropped as by nac_profile_add; other metadata, and O, stay the profile's own. other may be the profile itself.
 * NAC_MISMATCH unless the metadata "model" (its sha256, or all of it where there is none) and "preprocess", and the
 * layers (names, pools, neurons, M, alpha, edges) are the same; NAC_LIMIT_EXCEEDED past 2^32 - 1 images. */
nac_status nac_profile_merge(nac_profile *profile, const nac_profile *other, nac_error *error);

/* NAC-UE: layer_scores is [N, layers], scores is [N], each in [0, 1], high = in-distribution; either may be NULL. A
 * state of NaN is in no bin and adds 0. Sums are in double, one image at a time: the same bits alone and in a batch. */
nac_status nac_profile_score(const nac_profile *profile, int N, const float *const *z, const float *const *g,
                             float *layer_scores, float *scores, nac_error *error);

/* Phi of every neuron of one image and layer: z, g, coverage are [neurons], coverage in [0, 1]; bins (may be NULL)
 * receives the bin index or -1. */
nac_status nac_profile_coverage(const nac_profile *profile, int layer, const float *z, const float *g, float *coverage, int *bins,
                                nac_error *error);

int nac_profile_layer_count(const nac_profile *profile);
nac_layer nac_profile_layer(const nac_profile *profile, int layer);        /* layer must be in 0..layer_count-1, here and below */
const double *nac_profile_edges(const nac_profile *profile, int layer);    /* [M] */
const uint32_t *nac_profile_counts(const nac_profile *profile, int layer); /* [M-1, neurons] */
uint64_t nac_profile_images(const nac_profile *profile);                   /* images counted */

/* Structured metadata, JSON text: "model" ({name, sha256}), "preprocess", "labels" ([..]), "provenance", "selfTest", and
 * any other key, 1024 in all. Get returns NULL where there is none; the text lives until the key is set again. Set checks that the text
 * is JSON, for "preprocess" that nac_preprocess_parse takes it, that a sha256 is 64 hexadecimal digits and that labels are
 * strings (NAC_MALFORMED), and keeps it without white space, "preprocess" in its canonical form. json NULL removes the key.
 * "format", "version", "images", "layers" and "calibration" are the library's own: NULL, and NAC_INVALID_ARGUMENT. */
const char *nac_profile_metadata(const nac_profile *profile, const char *key);
nac_status nac_profile_set_metadata(nac_profile *profile, const char *key, const char *json, size_t size, nac_error *error);
/* The index-th key, in the order of their bytes, or NULL past the last. Text of foreign keys may be anything. */
const char *nac_profile_metadata_key(const nac_profile *profile, size_t index);

/* NAC_MISMATCH, with the first 8 digits of both, unless metadata "model" holds this SHA-256 (64 hexadecimal digits) of
 * the ONNX file's bytes. The host computes it (Web Crypto, node:crypto). Of a model with other files (nac_model_file) it is the SHA-256
 * of a text: the digits of the ONNX file, then those of every file in the order of their names, a newline after each. So it is what
 * `sha256sum model.onnx model.onnx.data | cut -c1-64 | sha256sum` prints. */
nac_status nac_profile_check_model(const nac_profile *profile, const char *sha256_hex, nac_error *error);

/* Which images a profile has seen, so that an evaluation can refuse them: sets of 64-bit image hashes, chosen by the host
 * (the first 8 bytes of a SHA-256). Adding one twice is fine; merge unites them. Adding costs O(count log count + size of the
 * set): hand over many at once. Has is O(log n). The arrays are ascending, valid until the set changes; NULL where empty. */
nac_status nac_profile_add_hashes(nac_profile *profile, const uint64_t *hashes, size_t count, nac_error *error);
bool nac_profile_has_hash(const nac_profile *profile, uint64_t hash);
const uint64_t *nac_profile_hashes(const nac_profile *profile, size_t *count);
/* The same for the images behind calibration scores; they stay when a calibration is dropped or replaced. */
nac_status nac_profile_add_calibration_hashes(nac_profile *profile, const uint64_t *hashes, size_t count, nac_error *error);
bool nac_profile_has_calibration_hash(const nac_profile *profile, uint64_t hash);
const uint64_t *nac_profile_calibration_hashes(const nac_profile *profile, size_t *count);

/* ---- Calibration -------------------------------------------------------------------------------- */

/* Sorts and keeps `count` held-out in-distribution scores, each in [0, 1], of images that are in no profile, and sets the
 * threshold, in place of an earlier calibration. classes, the class predicted for each (the largest logit's index, below
 * NAC_MAX_CLASSES), may be NULL; without them there are no p-values by class. scores and classes may be the profile's own arrays,
 * to change the false_alarm alone. For every score in [0, 1]
 *     score < threshold  <=>  p <= false_alarm,
 * to the bit, ties included (a score equal to the threshold is "in"). Of new in-distribution images a share of at
 * most false_alarm (0..1, default elsewhere 0.05) is flagged, on average over calibration sets. With fewer than
 * 1 / false_alarm - 1 images no p can be so small: the threshold is 0 and nothing is ever flagged.
 * NAC_INVALID_ARGUMENT: no score, a score, class or false_alarm out of range or NaN. */
nac_status nac_profile_calibrate(nac_profile *profile, const float *scores, const uint32_t *classes, size_t count, double false_alarm,
                                 nac_error *error);

/* Conformal p-value (1 + #{calibration <= score}) / (count + 1), NaN when the profile is not calibrated or for
 * NaN. O(log n). */
double nac_profile_p_value(const nac_profile *profile, float score);
/* verdict "out" iff score < threshold; NaN when not calibrated. */
double nac_profile_threshold(const nac_profile *profile);
double nac_profile_false_alarm(const nac_profile *profile); /* NaN when not calibrated */
const float *nac_profile_calibration(const nac_profile *profile, size_t *count); /* sorted, ascending; NULL when there are none */
const uint32_t *nac_profile_calibration_classes(const nac_profile *profile);     /* of each of these; NULL when not known */

/* The same against the calibration images of one predicted class alone (Mondrian conformal prediction: Vovk et al., "Algorithmic
 * Learning in a Random World", 2005): then the promise of at most false_alarm holds for the images that are taken for that class,
 * and not only for all together. NaN unless at least 4 / false_alarm calibration images (80 for 5 %) are of the class: 1 / false_alarm
 * - 1 would do for so small a p, but the share that is really flagged would vary from calibration set to calibration set by
 * more than half of false_alarm. */
double nac_profile_class_p_value(const nac_profile *profile, int class_index, float score);
double nac_profile_class_threshold(const nac_profile *profile, int class_index);

/* ---- Metrics ------------------------------------------------------------------------------------ */

/* High score = in-distribution. AUROC counts ties one half. A threshold accepts tied scores together. Shares in [0, 1].
 * OpenOOD's figures differ in two ways: its AUPR joins the points of the curve by straight lines (this is average
 * precision, scikit-learn's average_precision_score, which does not), and it has aupr_in and aupr_out swapped. */
typedef struct nac_metrics {
    double auroc;
    double fpr95;             /* OpenOOD: share of ID flagged at the strictest threshold that catches >= 95 % of OOD */
    double fpr95_id_positive; /* ODIN paper: share of OOD accepted at the highest threshold that accepts >= 95 % of ID */
    double aupr_in;           /* ID positive */
    double aupr_out;          /* OOD positive */
} nac_metrics;

/* id is [id_count], ood is [ood_count]; infinite scores are fine. O(n log n). NAC_INVALID_ARGUMENT when a set is empty,
 * NAC_NOT_FINITE on NaN. */
nac_status nac_metrics_compute(const float *id, size_t id_count, const float *ood, size_t ood_count, nac_metrics *metrics, nac_error *error);

/* Percentile bootstrap over images, stratified by set: [low, high] of the central 95 % of every metric, `rounds`
 * resamples (1..1000000), deterministic in `seed`. O(n log n + rounds n). */
nac_status nac_metrics_bootstrap(const float *id, size_t id_count, const float *ood, size_t ood_count, int rounds, uint64_t seed,
                                 nac_metrics *low, nac_metrics *high, nac_error *error);

/* Baseline scores of one image from its logits [K], K >= 1, all high = in-distribution, computed in double. probabilities
 * [K] may be NULL. NaN for a NaN logit.
 *   msp        largest softmax probability (Hendrycks and Gimpel, ICLR 2017)
 *   energy     logsumexp, the negative free energy at T = 1 (Liu et al., NeurIPS 2020)
 *   max_logit  largest logit (Hendrycks et al., ICML 2022)
 *   entropy    negative Shannon entropy of the softmax: sum of p log p, in [-log K, 0]
 *   gen        negative generalised entropy (Liu, Lochman and Zach, CVPR 2023): minus the sum over the M = min(100, K) largest p of
 *              p^0.1 (1 - p)^0.1. The authors' float32 has 1 - p = 0 for the surest images; here their order is kept. */
typedef struct nac_baselines {
    float msp, energy, max_logit, entropy, gen;
} nac_baselines;
nac_baselines nac_baselines_compute(const float *logits, int K, float *probabilities);

/* GradNorm (Huang, Geng and Li, NeurIPS 2021), high = in-distribution: the L1 norm of the gradient of KL(u || softmax) with respect to
 * the weights of the classifier. That gradient is the outer product of p - 1/K and the classifier's input, so the norm is
 * |p - 1/K|_1 |features|_1 and needs no backward pass. (The authors' code sums over classes without the 1/K: K times this.) features
 * [C] is the classifier's input (nac_session_classifier_tap), C >= 1. NaN for NaN, or for a count out of range. */
float nac_grad_norm(const float *logits, int K, const float *features, int C);

/* KNN (Sun et al., ICML 2022): minus the Euclidean distance of an image's features, scaled to length 1, to the k-th nearest of
 * those of in-distribution images; in [-2, 0], high = in-distribution. Authors and OpenOOD take the classifier's input and k = 50
 * (OpenOOD's score is the squared distance: the same order). Prepare scales references [count, C] in place, once. Score takes prepared
 * references, and queries [count, C] as they are, to scores [count]. O(count reference_count C): against 50 000
 * references of 512 neurons 2.5 ms an image (WebAssembly SIMD, one core of a Zen 4), and memory for count (C + k) floats.
 * NAC_INVALID_ARGUMENT unless 1 <= k <= reference_count and C in 1..NAC_MAX_NEURONS, NAC_NOT_FINITE for NaN and infinity. */
nac_status nac_neighbours_prepare(float *references, size_t count, int C, nac_error *error);
nac_status nac_neighbours_score(const float *references, size_t reference_count, const float *queries, size_t count, int C, int k,
                                float *scores, nac_error *error);

/* ---- Model evaluation (NAC-ME) -------------------------------------------------------------------- */

/* Mean over neurons of sum over bins of min(count / O, 1) / M (the authors divide by the number of edges). counts is
 * [M-1, neurons], made with nac_bin_edges_linear and nac_coverage_count from correctly classified images. O > 0 images
 * fill a bin. In [0, 1): higher = generalises better. NaN for arguments out of range. */
double nac_model_coverage(const uint32_t *counts, int neurons, int M, double O);

#ifdef __cplusplus
}
#endif
#endif
