/* nac_limits.h - ceilings on what strangers' bytes may ask for. What is over one of them is refused with NAC_LIMIT_EXCEEDED before
 * its memory is taken.
 *
 * Each can be set where the library is compiled: cmake -DNAC_LIMITS="NAC_MAX_IMAGE_PIXELS=4000000;NAC_MAX_NODES=500" (that is,
 * -DNAC_MAX_IMAGE_PIXELS=4000000 -DNAC_MAX_NODES=500 for the compiler). Lower ones are always safe. Higher ones are, up to what
 * is said beside them. SECURITY.md says what the whole of them promises. */
#ifndef NAC_LIMITS_H
#define NAC_LIMITS_H

/* ---- Images -------------------------------------------------------------------------------------- */

#ifndef NAC_MAX_IMAGE_BYTES /* of the encoded file; below 2^31 */
#define NAC_MAX_IMAGE_BYTES (256 << 20)
#endif
#ifndef NAC_MAX_IMAGE_SIDE /* pixels; of a network's input, too; at most 32768 */
#define NAC_MAX_IMAGE_SIDE 32768
#endif
#ifndef NAC_MAX_IMAGE_PIXELS /* 3 bytes each, twice that while a PNG is decoded; below 2^28 */
#define NAC_MAX_IMAGE_PIXELS 100000000
#endif
#ifndef NAC_MAX_JPEG_SCANS /* of a progressive JPEG: each walks over the whole image */
#define NAC_MAX_JPEG_SCANS 100
#endif

/* ---- Models -------------------------------------------------------------------------------------- */

#ifndef NAC_MAX_MODEL_BYTES /* of the ONNX file (protobuf has no larger ones) and of the files that it names together; below 2^31 */
#define NAC_MAX_MODEL_BYTES 0x7fffffff
#endif
#ifndef NAC_MAX_MODEL_FILES /* that it names */
#define NAC_MAX_MODEL_FILES 4096
#endif
#ifndef NAC_MAX_NODES /* of the ONNX file */
#define NAC_MAX_NODES 20000
#endif
#ifndef NAC_MAX_NAME /* bytes of a tensor's, node's or layer's name */
#define NAC_MAX_NAME 1024
#endif
#ifndef NAC_MAX_NAMES /* mentions of tensors by nodes, inputs, outputs and initializers */
#define NAC_MAX_NAMES (1 << 20)
#endif
#ifndef NAC_MAX_INITIALIZERS
#define NAC_MAX_INITIALIZERS (1 << 17)
#endif
#ifndef NAC_MAX_ATTRIBUTES /* of one node */
#define NAC_MAX_ATTRIBUTES 64
#endif
#ifndef NAC_MAX_ATTRIBUTE_NUMBERS /* of one FLOATS or INTS attribute */
#define NAC_MAX_ATTRIBUTE_NUMBERS (1 << 16)
#endif

/* ---- Sessions ------------------------------------------------------------------------------------ */

#ifndef NAC_MAX_GRAPH_NODES /* forward, backward and conversions together */
#define NAC_MAX_GRAPH_NODES (1 << 17)
#endif
#ifndef NAC_MAX_ROUND_NODES /* of the bodies of loops, each as often as its loop goes round */
#define NAC_MAX_ROUND_NODES (1 << 17)
#endif
#ifndef NAC_MAX_TENSOR_BYTES /* of one tensor; below 2^31 */
#define NAC_MAX_TENSOR_BYTES 0x7fffffff
#endif
#ifndef NAC_MAX_SESSION_BYTES /* weights and other constants, activations and gradients together */
#define NAC_MAX_SESSION_BYTES (UINT64_C(4) << 30)
#endif
#ifndef NAC_MAX_FOLDING_STEPS /* additions, multiplications or copies for constants that are computed in advance */
#define NAC_MAX_FOLDING_STEPS (UINT64_C(1) << 32)
#endif
#ifndef NAC_MAX_CLASSES
#define NAC_MAX_CLASSES 1000000
#endif
#ifndef NAC_MAX_TAPS /* layers of a profile, too */
#define NAC_MAX_TAPS 64
#endif

/* ---- Profiles ------------------------------------------------------------------------------------ */

#ifndef NAC_MAX_PROFILE_BYTES /* of the safetensors file; below 2^31 */
#define NAC_MAX_PROFILE_BYTES (1 << 30)
#endif
#ifndef NAC_MAX_BINS /* edges M of one layer */
#define NAC_MAX_BINS 10000
#endif
#ifndef NAC_MAX_NEURONS /* of one layer */
#define NAC_MAX_NEURONS 1000000
#endif
#ifndef NAC_MAX_PROFILE_HEADER /* bytes of metadata and the list of tensors */
#define NAC_MAX_PROFILE_HEADER (16 << 20)
#endif
#ifndef NAC_MAX_METADATA /* keys */
#define NAC_MAX_METADATA 1024
#endif

#endif
