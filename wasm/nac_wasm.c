/* nac_wasm.c - nac.h as JavaScript can call it: numbers and addresses, no structs by value, no logic.
 *
 * A function of nac.h whose arguments are already numbers and addresses is exported as it is (exports.txt); what is here
 * takes structs apart. JavaScript passes nacw_error() wherever nac.h takes a nac_error, and reads it when a status is not
 * 0. That one static is per instance of the module, and an instance belongs to one thread. */
#include <stdlib.h>

#include "nac.h"

nac_error *nacw_error(void) {
    static nac_error error;
    return &error;
}

const char *nacw_error_message(void) {
    return nacw_error()->message;
}

/* ---- Preprocessing and images ------------------------------------------------------------------- */

size_t nacw_preprocess_bytes(void) {
    return sizeof(nac_preprocess);
}

/* An image is a block of nacw_image_bytes() that starts as zeroes. */
size_t nacw_image_bytes(void) {
    return sizeof(nac_image);
}

int nacw_image_width(const nac_image *image) {
    return image->width;
}

int nacw_image_height(const nac_image *image) {
    return image->height;
}

const uint8_t *nacw_image_rgb(const nac_image *image) {
    return image->rgb;
}

/* ---- Sessions ---------------------------------------------------------------------------------- */

/* A model that nobody needs after this session, and the file that it reads. */
typedef struct last_model {
    nac_model *model; /* NULL: closed */
    void *file;
} last_model;

static void close_model(void *context) {
    last_model *last = context;
    if (!last->model) return;
    nac_model_close(last->model);
    free(last->file);
    last->model = NULL;
}

/* tensors and pools are [tap_count]; pools holds nac_pool as int32. `file`: the bytes that the model was opened from, when it is to be closed
 * and they are to be freed, whatever comes of the session; NULL: the model stays. */
nac_status nacw_session_create(nac_model *model, void *file, int batch, int height, int width, const char *const *tensors, const int32_t *pools,
                               size_t tap_count, int backend, int keep_maps, nac_session **session, nac_error *error) {
    nac_tap taps[NAC_MAX_TAPS];
    last_model last = {file ? model : NULL, file};
    /* Past the limit only the count matters: the session refuses it before it reads a tap. */
    for (size_t i = 0; i < tap_count && i < NAC_MAX_TAPS; ++i) taps[i] = (nac_tap){.tensor = tensors[i], .pool = (nac_pool)pools[i]};
    const nac_session_options options = {
        .batch = batch,
        .height = height,
        .width = width,
        .taps = taps,
        .tap_count = tap_count,
        .backend = (nac_backend)backend,
        .keep_maps = keep_maps != 0,
        .model_read = close_model,
        .context = &last,
    };
    const nac_status status = nac_session_create(model, &options, session, error);
    close_model(&last);
    return status;
}

/* ---- Profiles ---------------------------------------------------------------------------------- */

/* Each array is [count], one entry a layer. */
nac_status nacw_profile_create(const char *const *names, const int32_t *pools, const int32_t *neurons, const float *alpha, const int32_t *M,
                               const double *O, size_t count, nac_profile **profile, nac_error *error) {
    nac_layer layers[NAC_MAX_TAPS];
    for (size_t i = 0; i < count && i < NAC_MAX_TAPS; ++i)
        layers[i] = (nac_layer){.name = names[i], .pool = (nac_pool)pools[i], .neurons = neurons[i], .alpha = alpha[i], .M = M[i], .O = O[i]};
    return nac_profile_create(layers, count, profile, error);
}

const char *nacw_profile_layer_name(const nac_profile *profile, int layer) {
    return nac_profile_layer(profile, layer).name;
}

int nacw_profile_layer_pool(const nac_profile *profile, int layer) {
    return (int)nac_profile_layer(profile, layer).pool;
}

int nacw_profile_layer_neurons(const nac_profile *profile, int layer) {
    return nac_profile_layer(profile, layer).neurons;
}

float nacw_profile_layer_alpha(const nac_profile *profile, int layer) {
    return nac_profile_layer(profile, layer).alpha;
}

int nacw_profile_layer_M(const nac_profile *profile, int layer) {
    return nac_profile_layer(profile, layer).M;
}

double nacw_profile_layer_O(const nac_profile *profile, int layer) {
    return nac_profile_layer(profile, layer).O;
}

/* ---- Statistics --------------------------------------------------------------------------------- */

/* nac_metrics is five doubles, which JavaScript reads in the order of nac.h. */
_Static_assert(sizeof(nac_metrics) == 5 * sizeof(double), "nac_metrics is read as double[5]");

/* nac_baselines is five floats, likewise. */
_Static_assert(sizeof(nac_baselines) == 5 * sizeof(float), "nac_baselines is read as float[5]");

void nacw_baselines(const float *logits, int K, float *probabilities, nac_baselines *baselines) {
    *baselines = nac_baselines_compute(logits, K, probabilities);
}
